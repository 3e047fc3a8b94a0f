//! What the pages say is tried: links lead somewhere, commands are understood, configurations load, and the book has every page.

use super::{Arguments, official};
use crate::config::{Options, load};
use clap::Parser;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// A page: where it lies, and its text.
struct Page {
    file: PathBuf,
    text: String,
}

/// A block between fences: the word behind the first fence, and what stands between.
struct Block<'a> {
    word: &'a str,
    text: String,
}

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("it is there")
}

/// Every page that a reader is shown.
fn pages() -> Vec<Page> {
    let root = root();
    let is_ours = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || (name != "target" && (!name.starts_with('.') || name == ".github"))
    };
    let files = walkdir::WalkDir::new(&root).into_iter().filter_entry(is_ours).map(|entry| entry.expect("readable"));
    let pages: Vec<Page> = files
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "md"))
        .map(|entry| Page { file: entry.path().to_owned(), text: fs::read_to_string(entry.path()).expect("text") })
        .collect();
    assert!(pages.len() > 15, "{} pages", pages.len());
    pages
}

/// Its blocks, and its text without them, line by line in place.
fn blocks(page: &str) -> (Vec<Block<'_>>, Vec<&str>) {
    let (mut blocks, mut prose) = (Vec::new(), Vec::new());
    // A block in a list stands as far in as its fence.
    let (mut open, mut indent): (Option<Block<'_>>, &str) = (None, "");
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(word), None) => {
                indent = &line[..line.len() - line.trim_start().len()];
                open = Some(Block { word: word.trim(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text += line.strip_prefix(indent).unwrap_or(line);
                block.text.push('\n');
            }
            (None, None) => prose.push(line),
        }
    }
    assert!(open.is_none(), "a block without an end");
    (blocks, prose)
}

/// The last part of a link to a heading, as the usual sites make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Where the links of a line lead.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_that_is_there() {
    let (mut followed, mut broken) = (0, Vec::new());
    for page in pages() {
        for line in blocks(&page.text).1 {
            for target in links(line).filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
                followed += 1;
                let (name, heading) = target.split_once('#').unwrap_or((target, ""));
                let file = if name.is_empty() { page.file.clone() } else { page.file.with_file_name(name) };
                let found = file.exists()
                    && (heading.is_empty()
                        || fs::read_to_string(&file).is_ok_and(|text| {
                            let (_, prose) = blocks(&text);
                            prose
                                .iter()
                                .any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == heading)
                        }));
                if !found {
                    broken.push(format!("{}: {target}", page.file.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(followed > 30, "{followed}");
}

/// A page that nothing leads to is one that nobody reads. The book's list is a page as well.
#[test]
fn every_page_of_the_documentation_can_be_reached_from_the_first_one() {
    let docs = root().join("docs");
    let pages = pages();
    let mut reached = BTreeSet::from([root().join("README.md"), docs.join("SUMMARY.md")]);
    loop {
        let before = reached.len();
        for page in pages.iter().filter(|page| reached.contains(&page.file)).collect::<Vec<_>>() {
            let targets = blocks(&page.text)
                .1
                .into_iter()
                .flat_map(links)
                .map(|target| target.split('#').next().unwrap_or(target));
            reached.extend(targets.filter_map(|name| page.file.with_file_name(name).canonicalize().ok()));
        }
        if reached.len() == before {
            break;
        }
    }
    let lost: Vec<_> = pages
        .iter()
        .map(|page| &page.file)
        .filter(|file| file.starts_with(&docs) && !reached.contains(*file))
        .collect();
    assert!(lost.is_empty(), "no link leads to {lost:#?}: give each a line in docs/SUMMARY.md");
}

/// The commands of a shell's line that call us, each as the words after the shell has read it.
fn calls(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            ('#', None) if word.is_none() => break,
            ('|' | ';' | '&' | '>' | '<', None) => {
                words.extend(word.take());
                all.push(std::mem::take(&mut words));
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word.take());
    all.push(words);
    all.into_iter().filter_map(ours).collect()
}

/// The words from our name on, where it is the program that is called; it may be called by `sudo`, and with an environment.
fn ours(words: Vec<String>) -> Option<Vec<String>> {
    let before = |word: &&String| *word == "sudo" || (word.contains('=') && !word.starts_with('-'));
    let at = words.iter().take_while(before).count();
    (words.get(at)?.rsplit('/').next()? == "mde-collector").then(|| words[at..].to_vec())
}

#[test]
fn every_command_in_the_pages_is_one_that_the_program_understands() {
    let mut tried = 0;
    for page in pages() {
        let (blocks, prose) = blocks(&page.text);
        let shell = blocks.iter().filter(|block| block.word == "sh").map(|block| block.text.replace("\\\n", " "));
        let mut lines: Vec<String> =
            shell.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        // In running text a command with a verb stands between backquotes.
        let prose = prose.join("\n");
        let quoted = prose.split('`').skip(1).step_by(2).filter(|code| code.starts_with("mde-collector "));
        lines.extend(quoted.map(str::to_owned));
        for line in &lines {
            for words in calls(line).into_iter().filter(|words| words.len() > 1) {
                tried += 1;
                let words = official(words.into_iter().map(OsString::from), false);
                // Help and version are answers too.
                let refused = Arguments::try_parse_from(words).err().filter(clap::Error::use_stderr);
                assert!(refused.is_none(), "{}: {line}\n{}", page.file.display(), refused.expect("it is some"));
            }
        }
    }
    assert!(tried > 30, "{tried}");
}

/// A configuration around a part of one.
fn whole(part: &str) -> String {
    const INPUT: &str = "inputs:\n  acme:\n    id: acme\n    credentials: {tenant_id: 9a1b7c5e-0000-4000-8000-000000000001, client_id: 9a1b7c5e-0000-4000-8000-000000000002, client_secret: x}\n";
    const OUTPUT: &str = "outputs:\n  here: {type: console}\n";
    let has = |key: &str| part.lines().any(|line| line.starts_with(key));
    let shifted = |by: &str| part.lines().map(|line| format!("{by}{line}\n")).collect::<String>();
    if has("services:") {
        return format!("{INPUT}{}{OUTPUT}", shifted("    "));
    }
    if has("config:") {
        return format!(
            "{INPUT}    services: {{alerts: {{}}}}\noutputs:\n  receiver:\n    type: http\n{}",
            shifted("    ")
        );
    }
    let input = if has("inputs:") { String::new() } else { format!("{INPUT}    services: {{alerts: {{}}}}\n") };
    format!("{input}{}{part}", if has("outputs:") { "" } else { OUTPUT })
}

/// The same with a file at each place where one is named, since a missing one is an error.
fn with_files(text: &str, folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["collector.example".to_owned()]).expect("a certificate");
    let pem = made.cert.pem() + &made.signing_key.serialize_pem();
    let is_end = |c: char| c.is_whitespace() || "{},[]\"'".contains(c);
    let mut written = String::new();
    for piece in text.split_inclusive(is_end) {
        let name = piece.trim_end_matches(is_end);
        // `${file:PATH}` names one inside a text.
        let (before, name) = name.split_at(if name.starts_with("file:") { "file:".len() } else { 0 });
        let wanted = !before.is_empty()
            || [".crt", ".key", ".pem", ".creds", ".token"].iter().any(|end| name.ends_with(end))
            || name.starts_with("credentials/");
        if wanted {
            let file = folder.join(name.trim_start_matches('/').replace('/', "-"));
            fs::write(&file, &pem).expect("writable");
            written += &format!("{before}{}{}", file.display(), &piece[before.len() + name.len()..]);
        } else {
            written += piece;
        }
    }
    written
}

/// What the environment has where a page asks for it: an address where the name says so.
fn environment(name: &str) -> Option<String> {
    Some(if name.ends_with("URL") { "postgres://user:password@host:5432/database" } else { "set" }.to_owned())
}

/// A fence that says `yaml` alone holds a configuration or a part of one; what else is YAML says so: `yaml,compose`.
#[test]
fn every_configuration_in_the_pages_passes_the_offline_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.yaml");
    let mut loaded = 0;
    let mut passes = |place: &Path, text: &str| {
        loaded += 1;
        fs::write(&file, with_files(text, folder.path())).expect("writable");
        let options = Options { strict: true, offline: true, ..Options::default() };
        if let Err(problems) = load(&file, &environment, options) {
            let told: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
            panic!("{}:\n{text}\n{told:#?}", place.display());
        }
    };
    for page in pages() {
        for block in blocks(&page.text).0.into_iter().filter(|block| block.word == "yaml") {
            if !block.text.contains("type: kafka") || cfg!(feature = "kafka") {
                passes(&page.file, &whole(&block.text));
            }
        }
    }
    let compose = root().join("deploy/compose/config/config.yaml");
    passes(&compose, &fs::read_to_string(&compose).expect("it is in the tree"));
    assert!(loaded > 8, "{loaded}");
}

#[test]
fn the_readings_of_this_test_are_sound() {
    assert_eq!(anchor(" Change the configuration: `kill`, now?"), "change-the-configuration-kill-now");
    let read = calls("sudo ./mde-collector hunt 'A | take 1' --config \"a b\" > rows # mde-collector nonsense");
    assert_eq!(
        read,
        [["mde-collector", "hunt", "A | take 1", "--config", "a b"].map(str::to_owned)].map(|mut words| {
            words[0].insert_str(0, "./");
            words.to_vec()
        })
    );
    assert!(calls("cp mde-collectors /tmp | systemctl reload mde-collector").is_empty());
}
