//! What describes the command line to shells and to `man`.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Failure, screen};

/// Which shell to complete for.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(["bash", "zsh", "fish"]))]
    shell: String,
}

impl Completions {
    pub(super) fn print(&self) -> Result<(), Failure> {
        let shell: Shell = self.shell.parse().map_err(|_| Failure::Usage("there are completions for bash, zsh and fish"))?;
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "user-management", &mut text);
        screen::print(&String::from_utf8_lossy(&text))
    }
}

/// Which manual pages.
#[derive(Debug, Args)]
pub(super) struct Pages {
    /// The command whose page to print, such as `member move`; the program's own, for want of it
    command: Vec<String>,
    /// Write the pages of the program and of every command into this directory, made if it isn't there
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    into: Option<PathBuf>,
}

impl Pages {
    pub(super) fn print(&self) -> Result<(), Failure> {
        if let Some(directory) = &self.into {
            std::fs::create_dir_all(directory).map_err(Failure::Output)?;
            return clap_mangen::generate_to(Cli::command(), directory).map_err(Failure::Output);
        }
        let mut program = Cli::command().disable_help_subcommand(true);
        program.build();
        let mut command = &program;
        for name in &self.command {
            command = command.find_subcommand(name).ok_or(Failure::Usage("there is no such command to describe"))?;
        }
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut page).map_err(Failure::Output)?;
        screen::print(&String::from_utf8_lossy(&page))
    }
}
