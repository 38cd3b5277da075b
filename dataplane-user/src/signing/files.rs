//! The files of secrets, read and followed. What is wrong with one is said by its id and name.

use std::collections::BTreeMap;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{SecretKey, SecretTextError};
use crate::policy::SigningSecret;

/// No file of a secret is longer.
const LONGEST: u64 = 64;

/// Why the secret of a file is not taken. It quotes nothing of what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// A folder, a pipe, a device.
    #[error("it is not a regular file")]
    NotRegular,
    /// Others can read or write it.
    #[error("its mode is {mode:04o}, which lets others have it: `chmod 600` it")]
    Mode {
        /// The mode.
        mode: u32,
    },
    /// Another user can change it.
    #[error("it belongs to user {owner}: `chown root` it")]
    Owner {
        /// The user.
        owner: u32,
    },
    /// What it holds is no secret.
    #[error("{0}")]
    Text(#[from] SecretTextError),
}

/// The secret of a file, which is for root or this process's user alone.
///
/// # Errors
/// It cannot be read, others could have it, or it holds no secret.
pub fn read(path: &Path) -> Result<SecretKey, SecretFileError> {
    // A pipe would be waited for.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(SecretFileError::NotRegular);
    }
    if about.mode() & 0o177 != 0 {
        return Err(SecretFileError::Mode { mode: about.mode() & 0o7777 });
    }
    let owner = about.uid();
    if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
        return Err(SecretFileError::Owner { owner });
    }
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(SecretKey::parse(&text)?)
}

/// What the file system says of a file: it changes with every write, every file that takes its place, and its mode.
type Seal = Option<(u64, u64, i64, i64, u64)>;

fn seal(path: &Path) -> Seal {
    let seal = |about: Metadata| (about.dev(), about.ino(), about.ctime(), about.ctime_nsec(), about.len());
    fs::metadata(path).ok().map(seal)
}

/// Files that are followed.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<PathBuf, Followed>);

/// One of them.
#[derive(Debug)]
struct Followed {
    /// As it was when it was read last.
    seal: Seal,
    /// A change that has not stood still yet.
    moving: Option<Seal>,
    /// Why it could not be used.
    trouble: Option<String>,
}

impl Files {
    /// The secret of a file, which is followed from now on; none where it cannot be used. That is logged when it begins and
    /// when it ends.
    pub fn read(&mut self, secret: &SigningSecret) -> Option<SecretKey> {
        let SigningSecret { id, file, .. } = secret;
        let seal = seal(file);
        let read = read(file);
        let trouble = read.as_ref().err().map(ToString::to_string);
        let before = self.0.get(file).and_then(|it| it.trouble.clone());
        match &trouble {
            Some(why) if before.as_ref() != Some(why) => {
                tracing::error!(id, file = %file.display(), why, "the file of a signing secret cannot be used");
            }
            None if before.is_some() => {
                tracing::info!(id, file = %file.display(), "the file of a signing secret can be used again");
            }
            _ => {}
        }
        self.0.insert(file.clone(), Followed { seal, moving: None, trouble });
        read.ok()
    }

    /// Whether a file changed, and has stood still since the last look.
    pub fn look(&mut self) -> bool {
        let mut changed = false;
        for (path, followed) in &mut self.0 {
            let now = seal(path);
            if now == followed.seal {
                followed.moving = None;
            } else if followed.moving == Some(now) {
                changed = true;
            } else {
                followed.moving = Some(now);
            }
        }
        changed
    }

    /// Why a file could not be used, if it was read and could not.
    pub fn trouble(&self, file: &Path) -> Option<&str> {
        self.0.get(file)?.trouble.as_deref()
    }

    /// Follows no other file any more.
    pub fn keep(&mut self, keep: impl Fn(&Path) -> bool) {
        self.0.retain(|path, _| keep(path));
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;
    use crate::policy::Place;

    const TEXT: &str = "0123456789abcdef0123456789abcdef\n";

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_a_file_for_its_owner_alone_is_read_and_nothing_of_it_is_said() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let said = |name: &str| match read(&at(name)) {
            Ok(_) => String::new(),
            Err(error) => format!("{error} {error:?}"),
        };
        for mode in [0o600, 0o400] {
            write(&at("a"), TEXT, mode);
            assert_eq!(said("a"), "");
        }
        symlink(at("a"), at("link")).unwrap();
        assert_eq!(said("link"), "");
        for mode in [0o640, 0o604, 0o620, 0o700] {
            write(&at("a"), TEXT, mode);
            assert!(said("a").starts_with(&format!("its mode is {mode:04o}")), "{}", said("a"));
        }
        write(&at("a"), TEXT, 0o600);
        if nix::unistd::geteuid().is_root() {
            chown(at("a"), Some(12), None).unwrap();
            assert!(said("a").contains("belongs to user 12"), "{}", said("a"));
        }
        for text in ["0123456789abcdef", "0123456789abcdef0123456789abcdefx\n", &"0123456789abcdef".repeat(9)]
        {
            write(&at("b"), text, 0o600);
            assert!(
                said("b").contains("32 hexadecimal digits") && !said("b").contains("0123"),
                "{}",
                said("b")
            );
        }
        assert!(said("none").contains("No such file"));
        fs::create_dir(at("folder")).unwrap();
        assert!(said("folder").contains("not a regular file"));
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(said("pipe").contains("not a regular file"));
    }

    #[test]
    fn a_change_is_seen_when_it_has_stood_still() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a");
        let secret = SigningSecret { id: 1, file: file.clone(), at: Place::default() };
        let mut files = Files::default();
        assert!(!files.look());
        assert!(files.read(&secret).is_none() && files.trouble(&file).is_some());
        assert!(!files.look());
        write(&file, TEXT, 0o600);
        assert!(!files.look());
        assert!(files.look());
        assert!(files.read(&secret).is_some() && files.trouble(&file).is_none());
        assert!(!files.look());
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(!files.look());
        assert!(files.look());
        assert!(files.read(&secret).is_none() && files.trouble(&file).is_some());
        fs::remove_file(&file).unwrap();
        files.keep(|_| false);
        assert!(!files.look() && !files.look() && files.trouble(&file).is_none());
    }
}
