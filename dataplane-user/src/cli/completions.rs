//! `keysteer completions`

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, output};

/// Print a completion script for a shell
///
/// For bash: `keysteer completions bash > /etc/bash_completion.d/keysteer`
/// For zsh:  `keysteer completions zsh > "${fpath[1]}/_keysteer"`
/// For fish: `keysteer completions fish > ~/.config/fish/completions/keysteer.fish`
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keysteer", &mut script);
    let mut out = output::stdout();
    output::finish(out.write_all(&script).and_then(|()| out.flush()))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "keysteer", &mut script);
            let script = String::from_utf8(script).unwrap();
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
            assert!(script.contains("dport"), "{shell}");
        }
    }
}
