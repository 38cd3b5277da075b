//! Who asked for a change: the peer of the local socket as the kernel names it, or the agent itself.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process that asked for something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Who {
    /// Its effective user id.
    pub uid: u32,
    /// Its process id, in the agent's view; 0 where the kernel does not tell.
    pub pid: u32,
    /// The user's name, where the node knows one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// The program that it ran, where that could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exe: Option<String>,
}

impl Who {
    /// The process at the other end of a local socket.
    pub fn peer(uid: u32, pid: Option<u32>) -> Self {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid));
        let exe = pid.and_then(|pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok());
        Self {
            uid,
            pid: pid.unwrap_or_default(),
            user: user.ok().flatten().map(|user| user.name),
            exe: exe.map(|path| path.display().to_string()),
        }
    }

    /// This process: for what the agent does by itself, such as ending a word whose time is over.
    pub fn this() -> Self {
        let uid = nix::unistd::Uid::effective();
        Self {
            uid: uid.as_raw(),
            pid: std::process::id(),
            user: nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name),
            exe: std::env::current_exe().ok().map(|path| path.display().to_string()),
        }
    }
}

/// The user by name, else by number.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => f.write_str(user),
            None => write!(f, "uid {}", self.uid),
        }
    }
}
