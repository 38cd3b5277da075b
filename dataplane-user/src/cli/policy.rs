//! `keysteer policy`

use std::io::Write;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{self, Align, Format, Table, print_list};
use crate::policy::examples::{EXAMPLES, Example};
use crate::policy::json_schema;
use crate::suggest::nearest;

/// Help with writing policies
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the JSON schema of policies, for editors and checks
    ///
    /// Draft 7. It says which fields there are and what each may hold; whether names are declared
    /// and widths fit is for `keysteer validate`. Editors find it by a comment in the policy:
    /// `# yaml-language-server: $schema=keysteer-policy.json`.
    #[command(verbatim_doc_comment)]
    Schema,
    /// Print a shipped example; without a name, list them
    Example {
        /// The example's name
        name: Option<String>,
        /// How to show the list
        #[arg(short, long, value_enum, default_value_t, conflicts_with = "name")]
        output: Format,
    },
}

/// An example, as it is listed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: &'static str,
    shows: &'static str,
}

pub(super) fn run(args: &PolicyArgs) -> anyhow::Result<()> {
    match &args.verb {
        Verb::Schema => print(&(serde_json::to_string_pretty(&json_schema())? + "\n")),
        Verb::Example { name: Some(name), .. } => print(example(name)?.text),
        Verb::Example { name: None, output } => {
            let list = EXAMPLES.iter().map(|Example { name, shows, .. }| Listed { name, shows });
            let list: Vec<Listed> = list.collect();
            print_list(*output, &list, || {
                let mut table = Table::new([("EXAMPLE", Align::Left), ("SHOWS", Align::Left)]);
                list.iter().for_each(|it| table.row([it.name.to_owned(), it.shows.to_owned()]));
                table.render()
            })
        }
    }
}

/// The example of a name, which may be its file's.
fn example(name: &str) -> anyhow::Result<&'static Example> {
    if let Some(found) = EXAMPLES.iter().find(|example| example.name == name || example.file == name) {
        return Ok(found);
    }
    match nearest(name, EXAMPLES.iter().map(|example| example.name)) {
        Some(near) => anyhow::bail!("there is no example `{name}`; did you mean `{near}`?"),
        None => anyhow::bail!("there is no example `{name}`; `keysteer policy example` lists them"),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = output::stdout();
    output::finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}
