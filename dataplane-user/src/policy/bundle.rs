//! A policy with everything that it reads, as texts: what a generation is made from, again and again, on this
//! machine or on another. Every way to read a policy from files leads through here.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::diagnostic::{PolicyError, quoted};
use super::model::Policy;
use super::yaml::{self, Node, Value};

/// A policy file's text, and those of the files that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// The policy file's path, as it was given: what messages call it.
    pub name: String,
    /// Its text.
    pub policy: String,
    /// The files that it names, such as that of `keysFrom`.
    #[serde(default)]
    pub files: Vec<File>,
}

/// A file that a policy names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Its name, as the policy writes it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Bundle {
    /// Reads a policy file, or the only one (`*.yaml`, `*.yml`) of a folder, and the files that it names, which
    /// are looked for beside it. Where the policy is reached by a symbolic link that is exchanged meanwhile (a
    /// mounted ConfigMap), everything is of one side of the exchange.
    ///
    /// # Errors
    /// A file cannot be read, a folder has no policy or several, or the policy is no YAML document.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        Ok(open(path)?.0)
    }

    /// Checks the policy. No file is opened: what it names is in the bundle, or is missing.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(&self) -> Result<Policy, PolicyError> {
        self.check(&yaml::read(&self.policy, &self.name)?)
    }

    /// How long its texts are together, in bytes.
    pub fn bytes(&self) -> usize {
        self.policy.len() + self.files.iter().map(|file| file.text.len()).sum::<usize>()
    }

    fn check(&self, tree: &Node) -> Result<Policy, PolicyError> {
        super::parse_tree(tree, &self.name, &|name| match self.files.iter().find(|file| file.name == name) {
            Some(file) => Ok(Cow::Borrowed(&file.text)),
            None => Err(format!("cannot read {name}: the bundle does not hold it")),
        })
    }

    /// SHA-256 over the texts, and the names of the files that the policy names, in hexadecimal digits. Where the
    /// policy itself lies changes nothing.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let mut part = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        part("keysteer bundle 1");
        part(&self.policy);
        let mut files: Vec<&File> = self.files.iter().collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        for file in files {
            part(&file.name);
            part(&file.text);
        }
        hexadecimal(&hash.finalize())
    }
}

/// Bytes in hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads and checks a policy; see [`Bundle::read`].
pub(super) fn load(path: &Path) -> Result<Policy, PolicyError> {
    let (bundle, tree) = open(path)?;
    bundle.check(&tree)
}

/// How often a policy is read again because what it is reached by was exchanged meanwhile.
const ATTEMPTS: usize = 64;

fn open(path: &Path) -> Result<(Bundle, Node), PolicyError> {
    let path = policy_of(path)?;
    let real = || fs::canonicalize(&path).ok();
    let mut before = real();
    for _ in 0..ATTEMPTS {
        let read = read(&path);
        let after = real();
        if before == after {
            return read;
        }
        before = after;
    }
    let cause = io::Error::other("it is exchanged for another again and again: try again when that ends");
    Err(PolicyError::Io { path, cause })
}

fn read(path: &Path) -> Result<(Bundle, Node), PolicyError> {
    let text = fs::read_to_string(path).map_err(failed(path))?;
    let name = path.display().to_string();
    let tree = yaml::read(&text, &name)?;
    let mut files = Vec::new();
    if let Some(from) = keys_from(&tree) {
        match read_beside(path.parent(), from) {
            Ok(text) => files.push(File { name: from.to_owned(), text }),
            // Told with everything else that is wrong, at its place.
            Err(why) => {
                super::parse_tree(&tree, &name, &|_| Err(why.clone()))?;
            }
        }
    }
    Ok((Bundle { name, policy: text, files }, tree))
}

/// The text of a file that a policy in folder `base`, or in the working directory, names.
pub(super) fn read_beside(base: Option<&Path>, name: &str) -> Result<String, String> {
    let path = base.unwrap_or(Path::new("")).join(name);
    fs::read_to_string(&path).map_err(|cause| format!("cannot read {}: {cause}", path.display()))
}

/// The file that a tree names, whatever else is wrong with it.
fn keys_from(tree: &Node) -> Option<&str> {
    match &field(field(tree, "spec")?, "keysFrom")?.value {
        Value::Text(name) => Some(name),
        _ => None,
    }
}

fn field<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    match &node.value {
        Value::Map(entries) => entries.iter().find(|(key, _)| key.text == name).map(|(_, node)| node),
        _ => None,
    }
}

/// The policy file that a path means: itself, or the only one of the folder that it is.
fn policy_of(path: &Path) -> Result<PathBuf, PolicyError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed(path))? {
        let entry = entry.map_err(failed(path))?.path();
        // Hidden entries are an editor's, or the folders behind a mounted ConfigMap's links.
        let hidden =
            entry.file_name().is_some_and(|name| name.as_encoded_bytes().first().is_none_or(|b| *b == b'.'));
        let named = entry.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if named && !hidden && !entry.is_dir() {
            found.push(entry);
        }
    }
    found.sort();
    let why = match found.as_slice() {
        [only] => return Ok(only.clone()),
        [] => "the folder has no policy (*.yaml, *.yml): put one there, or name a file".to_owned(),
        several => {
            let names: Vec<String> = several.iter().take(8).map(|path| path.display().to_string()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let several = several.len();
            format!("the folder has {several} policies: leave one there, or name one of {}", quoted(&names))
        }
    };
    Err(PolicyError::Io { path: path.to_owned(), cause: io::Error::other(why) })
}

fn failed(path: &Path) -> impl Fn(io::Error) -> PolicyError {
    move |cause| PolicyError::Io { path: path.to_owned(), cause }
}
