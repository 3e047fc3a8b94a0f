//! `completions` and `man`: drawn from the declarations that the command line is parsed by, so that they never say anything else.

use super::{Arguments, DONE, PARTLY, say};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::fs;
use std::io::{self, Write, stdout};
use std::path::{Path, PathBuf};

/// Shell completions, on stdout.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mde-collector completions bash > /etc/bash_completion.d/mde-collector\n  \
                        mde-collector completions zsh > /usr/local/share/zsh/site-functions/_mde-collector\n  \
                        mde-collector completions fish > ~/.config/fish/completions/mde-collector.fish")]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

/// Manual pages.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mde-collector man /usr/local/share/man/man1\n  mde-collector man | man -l -")]
pub struct Manual {
    /// The folder that gets a page for each command. Default: the first page alone, on stdout.
    directory: Option<PathBuf>,
}

impl Completions {
    /// Gives them, and the exit code.
    pub fn run(&self) -> u8 {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "mde-collector", &mut script);
        // The generator names a program with a hyphen in two ways, so that nothing behind its first word would be completed.
        let script = String::from_utf8_lossy(&script).replace("mde__subcmd__collector", "mde__collector");
        ended(given(script.as_bytes()))
    }
}

impl Manual {
    /// Gives them, and the exit code.
    pub fn run(&self) -> u8 {
        ended(match &self.directory {
            None => page().and_then(|page| given(&page)),
            Some(directory) => pages(directory),
        })
    }
}

/// The first page.
fn page() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(Arguments::command()).render(&mut page)?;
    Ok(page)
}

/// A page for the command and for each below it: `mde-collector-state-show.1`.
fn pages(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Arguments::command(), directory)
}

/// Octets on stdout.
fn given(octets: &[u8]) -> io::Result<()> {
    let mut stdout = stdout().lock();
    stdout.write_all(octets)?;
    stdout.flush()
}

/// The exit code; a reader that has gone has had enough.
fn ended(ended: io::Result<()>) -> u8 {
    match ended {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            say(format_args!("failed to write: {error}"));
            PARTLY
        }
        _ => DONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Command;

    /// The command line with everything that clap itself adds.
    fn command() -> Command {
        let mut command = Arguments::command();
        command.build();
        command
    }

    /// Calls something for each command that does something.
    fn walk(command: &Command, path: &str, each: &mut dyn FnMut(&str, &Command)) {
        let mut below = command.get_subcommands().filter(|below| below.get_name() != "help").peekable();
        if below.peek().is_none() {
            each(path, command);
        }
        below.for_each(|below| walk(below, &format!("{path} {}", below.get_name()), each));
    }

    #[test]
    fn the_help_of_every_command_has_examples_that_begin_with_that_command_and_parse() {
        let mut commands = 0;
        walk(&command(), "mde-collector", &mut |path, command| {
            commands += 1;
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let (_, examples) = help.split_once("Example").unwrap_or_else(|| panic!("{path} has no examples"));
            let examples: Vec<&str> = examples.lines().filter(|line| line.contains(path)).collect();
            assert!(!examples.is_empty(), "{path} has no example of its own");
            for example in examples {
                let line = &example[example.find("mde-collector").expect("it is there")..];
                // What a shell does with the rest of the line is its own business.
                let line = line.split(['|', '>', '#']).next().unwrap_or_default();
                if !line.contains('\'') {
                    let words = line.split_whitespace();
                    let parsed = Arguments::command().try_get_matches_from(words.clone());
                    assert!(parsed.is_ok(), "{line}: {}", parsed.expect_err("it is none"));
                }
            }
        });
        assert!(commands > 15, "{commands}");
    }

    #[test]
    fn every_command_has_a_page_with_what_it_takes() {
        let folder = tempfile::tempdir().expect("a folder");
        pages(folder.path()).expect("writable");
        walk(&command(), "mde-collector", &mut |path, command| {
            let file = folder.path().join(format!("{}.1", path.replace(' ', "-")));
            let page = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            for heading in [".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION", ".SH OPTIONS"] {
                assert!(page.contains(heading), "{path}: {heading}");
            }
            for option in command.get_opts().filter_map(clap::Arg::get_long) {
                assert!(page.contains(&option.replace('-', "\\-")), "{path}: --{option}");
            }
        });
    }
}
