//! The official collector's command line and the places in which its image has files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where the official image has the files of the job form.
const ROOT: &str = "/etc/devo";
/// Names another folder in its place.
const ROOT_VARIABLE: &str = "MDE_COLLECTOR_ETC";

/// The two files of the job form.
pub struct Job {
    /// Inputs.
    pub job: PathBuf,
    /// Outputs and state.
    pub collector: PathBuf,
}

impl Job {
    /// Where the official image has them.
    pub fn usual() -> Self {
        let root = std::env::var_os(ROOT_VARIABLE).unwrap_or_else(|| ROOT.into());
        Self::below(Path::new(&root))
    }

    /// The same below another folder.
    fn below(root: &Path) -> Self {
        let (job, collector) = (root.join("job/job_config.json"), root.join("collector/collector_config.json"));
        Self { job, collector }
    }

    /// Whether both are there.
    pub fn is_there(&self) -> bool {
        self.job.is_file() && self.collector.is_file()
    }
}

/// The command line in our words.
pub fn translated(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let named = std::env::var_os("CONFIG_FILE").is_some_and(|file| !file.is_empty());
    official(arguments, named, Job::usual().is_there())
}

/// The official command line has no sub-command: `--config F` is `run`, `--validate` is `check`. So is a bare call where
/// the environment names a configuration, as the official image is started (`named`: it does), and where the files of the job form
/// are in their places (`job`), which then win over `--config`.
pub(super) fn official(arguments: impl IntoIterator<Item = OsString>, named: bool, job: bool) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let flags =
        ["--config", "--job_config_loc", "--collector_config_loc", "--prod-mode", "--no-save-state", "--validate"];
    let names_flag = |argument: &OsString| {
        argument.to_str().is_some_and(|text| flags.contains(&text.split('=').next().unwrap_or(text)))
    };
    // Ours may stand before it.
    let place = if arguments.get(1).is_some_and(|argument| argument == "--log-format") { 3 } else { 1 };
    if arguments.get(place).map_or((named || job) && arguments.len() == place, names_flag) {
        let validate = arguments.iter().any(|argument| argument == "--validate");
        arguments.retain(|argument| argument != "--validate" && argument != "--prod-mode");
        arguments.insert(place, if validate { "check" } else { "run" }.into());
        if validate {
            arguments.retain(|argument| argument != "--no-save-state");
        }
        let names_job = |argument: &OsString| argument.to_str().is_some_and(|text| text.contains("_config_loc"));
        if job && !arguments.iter().any(names_job) {
            without_value(&mut arguments, "--config");
            let Job { job, collector } = Job::usual();
            for (name, file) in [("--job_config_loc", job), ("--collector_config_loc", collector)] {
                arguments.extend([OsString::from(name), file.into()]);
            }
        }
    }
    arguments
}

/// Takes an option away, with its value whether that stands behind it or in it.
fn without_value(arguments: &mut Vec<OsString>, option: &str) {
    if let Some(place) = arguments.iter().position(|argument| argument == option) {
        arguments.drain(place..(place + 2).min(arguments.len()));
    }
    let with = format!("{option}=");
    arguments.retain(|argument| !argument.to_str().is_some_and(|text| text.starts_with(&with)));
}

#[cfg(test)]
mod tests {
    use super::super::Arguments;
    use super::*;
    use clap::Parser;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_official_command_line_is_run_or_check() {
        for (given, meant) in [
            ("c --config f --prod-mode", "c run --config f"),
            ("c --prod-mode --config f", "c run --config f"),
            ("c --config f --no-save-state", "c run --config f --no-save-state"),
            ("c --config=f --validate", "c check --config=f"),
            ("c --validate --no-save-state --config f", "c check --config f"),
            ("c --job_config_loc j --collector_config_loc k", "c run --job_config_loc j --collector_config_loc k"),
            ("c --log-format json --config f", "c --log-format json run --config f"),
            ("c run --config f", "c run --config f"),
            ("c --help", "c --help"),
            ("c", "c"),
        ] {
            assert_eq!(official(words(given), false, false), words(meant), "{given}");
        }
        assert_eq!(official(words("c"), true, false), words("c run"), "the environment names the file");
        assert_eq!(official(words("c --help"), true, false), words("c --help"));
        for meant in ["c run --config f --no-save-state", "c check --config f", "c run --config f"] {
            Arguments::try_parse_from(words(meant)).expect("it is understood");
        }
    }

    #[test]
    fn files_of_the_job_form_in_their_places_win_over_a_file_that_the_official_command_line_names() {
        let job = "--job_config_loc /etc/devo/job/job_config.json --collector_config_loc /etc/devo/collector/collector_config.json";
        for (given, meant) in [
            ("c", format!("c run {job}")),
            ("c --config f --prod-mode", format!("c run {job}")),
            ("c --config=f --no-save-state", format!("c run --no-save-state {job}")),
            ("c --validate --config f", format!("c check {job}")),
            ("c run --config f", "c run --config f".to_owned()),
            ("c --job_config_loc j", "c run --job_config_loc j".to_owned()),
        ] {
            assert_eq!(official(words(given), false, true), words(&meant), "{given}");
        }
    }
}
