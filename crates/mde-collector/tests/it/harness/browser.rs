//! A real Chromium without a screen, driven over WebDriver: what a person sees who has the page open.
//!
//! `fantoccini` speaks the protocol; what it has no words for (the console, the size and colours of the screen) are
//! chromedriver's own commands. Nothing but loopback can be reached from it.

use axum::http::Method;
use fantoccini::error::CmdError;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use url::Url;

/// What never comes guards against a suite that never ends; nothing is measured by it.
const HANGS: Duration = Duration::from_secs(180);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// What stands before chromedriver's port in its first words.
const PORT: &str = "started successfully on port ";
/// Pictures lie here, below cargo's own folder.
const PICTURES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/page");
/// The rules of accessibility, as their authors publish them.
const AXE: &str = include_str!("axe/axe.min.js");

/// How the page is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// The first word of a picture's name.
    pub name: &'static str,
    /// Unit: CSS pixels.
    pub width: u32,
    /// Unit: CSS pixels.
    pub height: u32,
    /// Whether dark colours are preferred.
    pub is_dark: bool,
}

/// The screens that a page must fit.
pub const SCREENS: [Screen; 4] = [
    Screen { name: "desktop-light", width: 1_400, height: 900, is_dark: false },
    Screen { name: "desktop-dark", width: 1_400, height: 900, is_dark: true },
    Screen { name: "phone-light", width: 390, height: 844, is_dark: false },
    Screen { name: "phone-dark", width: 390, height: 844, is_dark: true },
];

/// A browser with one open page; both programs end when it is dropped.
pub struct Browser {
    client: Client,
    /// What belongs to it is written here; chromedriver ends Chromium, and is itself killed when dropped.
    _profile: TempDir,
    _driver: Child,
}

impl Browser {
    /// Starts both.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("HOME", profile.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut driver = command.spawn().unwrap_or_else(|error| {
            panic!("chromedriver does not start ({error}): `cargo x check` installs what the tests need, or see xtask/src/packages.rs")
        });
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let told = async {
            while let Some(line) = lines.next_line().await.expect("readable") {
                if let Some((_, port)) = line.split_once(PORT) {
                    return port.trim_end_matches('.').to_owned();
                }
            }
            panic!("chromedriver ended without naming its port");
        };
        let port = timeout(HANGS, told).await.expect("chromedriver listens");
        // It goes on talking, and must not come to stand because nobody reads.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let address = format!("http://127.0.0.1:{port}");
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities(profile.path()))
            .connect(&address)
            .await
            .expect("Chromium starts");
        Self { client, _profile: profile, _driver: driver }
    }

    /// Opens an address.
    pub async fn open(&self, address: &str) {
        self.client.goto(address).await.expect("it opens");
    }

    /// What a script gives; it ends with `return …`.
    pub async fn sees(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Looks again and again until a script gives `true`.
    pub async fn until(&self, script: &str) {
        let looking = async {
            while self.sees(script).await != true {
                sleep(LOOK).await;
            }
        };
        if timeout(HANGS, looking).await.is_err() {
            panic!("{script} never came true: {}", self.text().await);
        }
    }

    /// The page's visible text.
    pub async fn text(&self) -> String {
        self.sees("return document.body.innerText").await.as_str().expect("a text").to_owned()
    }

    /// Presses keys wherever the focus is.
    pub async fn press(&self, keys: &str) {
        let focused = self.client.active_element().await.expect("something has the focus");
        focused.send_keys(keys).await.expect("it takes keys");
    }

    /// Clicks on what a CSS selector finds.
    pub async fn click(&self, selector: &str) {
        let found = self.client.find(Locator::Css(selector)).await.unwrap_or_else(|_| panic!("there is no {selector}"));
        found.click().await.expect("it can be clicked");
    }

    /// From now on the page is looked at so.
    pub async fn looks_by(&self, screen: Screen) {
        let Screen { width, height, is_dark, .. } = screen;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.chrome("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.chrome("Emulation.setEmulatedMedia", media).await;
    }

    /// Keeps a picture of the whole page, `<screen>-<name>.png`.
    pub async fn picture(&self, screen: Screen, name: &str) {
        let height = self.sees("return document.documentElement.scrollHeight").await;
        let whole = json!({"x": 0, "y": 0, "width": screen.width, "height": height, "scale": 1});
        let taken = json!({"format": "png", "captureBeyondViewport": true, "clip": whole});
        let taken = self.chrome("Page.captureScreenshot", taken).await;
        let octets = taken["data"].as_str().expect("base64");
        let octets = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, octets).expect("base64");
        fs::create_dir_all(PICTURES).expect("writable");
        let file = PathBuf::from(PICTURES).join(format!("{}-{name}.png", screen.name));
        fs::write(file, octets).expect("writable");
    }

    /// What of the page keeps somebody out, by the rules of axe-core, as far as it is serious or critical.
    pub async fn barriers(&self) -> Vec<String> {
        self.sees(&format!("{AXE};return true")).await;
        let script = "const done = arguments[0]; axe.run().then((found) => done(found.violations), (error) => done(String(error)))";
        let found = self.client.execute_async(script, Vec::new()).await.expect("axe runs");
        let found = found.as_array().unwrap_or_else(|| panic!("axe fails: {found}"));
        let serious = found.iter().filter(|rule| rule["impact"] == "serious" || rule["impact"] == "critical");
        serious.map(|rule| format!("{}: {}", rule["id"], rule["nodes"][0]["html"])).collect()
    }

    /// What the console has said since it was last asked, and what was loaded from elsewhere.
    pub async fn complaints(&self) -> Vec<String> {
        let said = self.extension("se/log", json!({"type": "browser"})).await;
        let said = said.as_array().expect("lines").iter().map(|line| line["message"].to_string());
        let foreign = "return performance.getEntriesByType('resource').map((entry) => entry.name)\
            .filter((name) => !name.startsWith(location.origin + '/'))";
        let foreign = self.sees(foreign).await;
        said.chain(foreign.as_array().expect("addresses").iter().map(Value::to_string)).collect()
    }

    /// Ends it.
    pub async fn close(self) {
        self.client.close().await.expect("it ends");
    }

    /// A command of Chromium itself.
    async fn chrome(&self, command: &str, parameters: Value) -> Value {
        self.extension("goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    /// A command of chromedriver that the standard does not have.
    async fn extension(&self, path: &'static str, body: Value) -> Value {
        let answer: Result<Value, CmdError> = self.client.issue_cmd(Extension { path, body }).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// A command of chromedriver that the standard does not have.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.expect("a session is open"), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

/// Without a screen, without a sandbox (the tests may be root's), and without anything beyond loopback.
fn capabilities(profile: &Path) -> Capabilities {
    let profile = format!("--user-data-dir={}", profile.display());
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        &profile,
    ];
    let Value::Object(capabilities) = json!({
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"browser": "ALL"},
    }) else {
        unreachable!("it was written as an object")
    };
    capabilities
}
