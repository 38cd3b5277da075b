//! The parts of a state directory, each by itself: whether it is there, and how it is taken out of the way. What is damaged
//! is kept, as evidence, until somebody removes it.

use std::path::{Path, PathBuf};

use super::{KeyIds, StateError, Timestamp, audit, disk, generations, overlay, secrets, shard_ids};

/// A part of a state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Seeds of hashes.
    Secrets,
    /// Which key has which id.
    KeyIds,
    /// Which shard has which index.
    ShardIds,
    /// What operators said.
    Overlay,
    /// Who changed what.
    Audit,
    /// The generations that there were.
    Generations,
    /// The policy of one generation.
    Bundle(u64),
}

impl Part {
    /// Its name, relative to the state directory: a file's, or that of the files that belong to it.
    pub fn name(self) -> String {
        match self {
            Self::Secrets => secrets::FILE.to_owned(),
            Self::KeyIds => "key-ids".to_owned(),
            Self::ShardIds => shard_ids::FILE.to_owned(),
            Self::Overlay => overlay::FILE.to_owned(),
            Self::Audit => audit::LOG.to_owned(),
            Self::Generations => "generations/records".to_owned(),
            Self::Bundle(number) => format!("generations/{number}.bundle"),
        }
    }

    /// Whether a state directory has it.
    pub fn is_there(self, directory: &Path) -> bool {
        match self {
            Self::Audit => [audit::LOG, audit::HEAD].iter().any(|name| directory.join(name).exists()),
            Self::Generations => generations::are_kept(directory),
            _ => directory.join(self.name()).exists(),
        }
    }

    /// Takes it out of the way: each of its files keeps its name, with `.damaged-` and the time behind. Says where they are
    /// now.
    ///
    /// # Errors
    /// A file cannot be renamed.
    pub fn set_aside(self, directory: &Path, now: Timestamp) -> Result<Vec<PathBuf>, StateError> {
        // Without signs that shells, archives and other file systems read otherwise.
        let time: String = now.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
        let suffix = format!(".damaged-{time}");
        let names = match self {
            Self::KeyIds => return KeyIds::set_aside(directory, &suffix),
            // The head last: a log without its head is noticed.
            Self::Audit => vec![audit::HEAD.to_owned(), audit::LOG.to_owned()],
            _ => vec![self.name()],
        };
        let aside = names.iter().map(|name| disk::set_aside(&directory.join(name), &suffix));
        Ok(aside.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_set_aside_keeps_its_name_and_content() {
        let place = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(1_767_322_998_007);
        for (part, files) in [
            (Part::Secrets, &["secrets"][..]),
            (Part::KeyIds, &["key-ids/head", "key-ids.json"]),
            (Part::ShardIds, &["shard-ids"]),
            (Part::Overlay, &["overlay"]),
            (Part::Audit, &["audit.jsonl", "audit.head"]),
            (Part::Generations, &["generations/records"]),
            (Part::Bundle(7), &["generations/7.bundle"]),
        ] {
            assert!(!part.is_there(place.path()), "{part:?}");
            assert!(part.set_aside(place.path(), now).unwrap().is_empty(), "{part:?}");
            for file in files {
                let path = place.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, file).unwrap();
            }
            assert!(part.is_there(place.path()), "{part:?}");
            let aside = part.set_aside(place.path(), now).unwrap();
            assert_eq!(aside.len(), files.len(), "{part:?}");
            assert!(!part.is_there(place.path()), "{part:?}");
            for path in aside {
                assert!(path.to_string_lossy().ends_with(".damaged-20260102T030318007Z"), "{path:?}");
            }
        }
        let text = fs::read_to_string(place.path().join("key-ids.damaged-20260102T030318007Z/head")).unwrap();
        assert_eq!(text, "key-ids/head");
    }
}
