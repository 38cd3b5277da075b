//! `keysteer man`

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, output};

/// Print the manual page, or write every page into a folder
///
/// Without a folder: keysteer(1), to be read by `keysteer man | man -l -`. With one: a page for
/// each command, keysteer-explain.1 and so on; to install them:
/// `keysteer man /usr/local/share/man/man1`.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ManArgs {
    /// The folder, which is made if it is not there
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs) -> anyhow::Result<()> {
    let pages = pages()?;
    match &args.folder {
        None => {
            let page = pages.first().map_or(&[][..], |(_, page)| page);
            let mut out = output::stdout();
            output::finish(out.write_all(page).and_then(|()| out.flush()))
        }
        Some(folder) => {
            write(folder, &pages).with_context(|| format!("cannot write into {}", folder.display()))
        }
    }
}

fn write(folder: &Path, pages: &[(String, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    pages.iter().try_for_each(|(name, page)| fs::write(folder.join(format!("{name}.1")), page))
}

/// Name and text of every command's page, the whole program's first.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    collect(&root, "keysteer", &mut pages)?;
    Ok(pages)
}

fn collect(command: &Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let mut page = Vec::new();
    let source = concat!("keysteer ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).title(name).source(source).render(&mut page)?;
    pages.push((name.to_owned(), page));
    let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
    visible.into_iter().try_for_each(|verb| collect(verb, &format!("{name}-{}", verb.get_name()), pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_its_options_and_no_hidden_one() {
        let pages = pages().unwrap();
        let page = |name: &str| {
            let (_, page) = pages.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name}"));
            String::from_utf8(page.clone()).unwrap().replace('\\', "")
        };
        assert_eq!(pages[0].0, "keysteer");
        let root = page("keysteer");
        for command in Cli::command().get_subcommands() {
            let name = command.get_name();
            let text = page(&format!("keysteer-{name}"));
            assert!(root.contains(name), "{name} is not on the first page");
            for option in command.get_arguments().filter(|option| !option.is_hide_set()) {
                let Some(long) = option.get_long() else { continue };
                assert!(text.contains(&format!("--{long}")), "{name}: --{long}");
            }
        }
        assert!(page("keysteer-key-get").contains("name in the policy"));
        assert!(!page("keysteer-demo").contains("plant-wrong-slot"));
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("a/man1");
        write(&folder, &pages).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), pages.len());
        assert_eq!(
            fs::read(folder.join("keysteer-explain.1")).unwrap(),
            pages.iter().find(|(name, _)| name == "keysteer-explain").unwrap().1
        );
    }
}
