//! Whose XDP program is on an interface.

use std::fmt;
use std::fs;
use std::io;

use aya::programs::loaded_programs;
use futures_util::StreamExt;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached};

use super::attach::Mode;
use super::clsact;
use super::link::Direction;
use super::sys;

/// Somebody else's program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignProgram {
    /// Program id, 0 where the kernel would not say.
    pub id: u32,
    /// Program name.
    pub name: String,
    /// Process id and command of those that hold it or its link open.
    pub holders: Vec<(u32, String)>,
}

impl ForeignProgram {
    /// A program of which nothing could be learnt.
    pub(super) fn unknown() -> Self {
        Self { id: 0, name: String::from("unknown"), holders: Vec::new() }
    }

    fn with_id(id: u32) -> Self {
        let name = loaded_programs()
            .filter_map(Result::ok)
            .find(|program| program.id() == id)
            .and_then(|program| program.name_as_str().map(str::to_owned))
            .unwrap_or_else(|| String::from("unnamed"));
        Self { id, name, holders: holders(id) }
    }
}

impl fmt::Display for ForeignProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" (id {})", self.name, self.id)?;
        if self.holders.is_empty() {
            return write!(f, ", held by no process (attached by netlink or pinned)");
        }
        for (at, (pid, command)) in self.holders.iter().enumerate() {
            let between = if at == 0 { ", held by" } else { "," };
            write!(f, "{between} {command} (pid {pid})")?;
        }
        Ok(())
    }
}

/// The XDP program on interface `index` of this namespace, if there is one.
///
/// # Errors
/// The kernel does not answer.
pub fn foreign_program(index: u32) -> io::Result<Option<ForeignProgram>> {
    Ok(attached_id(index)?.map(ForeignProgram::with_id))
}

/// In which mode a program is attached to interface `index`, as far as the kernel says; by a link at TC it may be another's.
pub fn mode_of(index: u32) -> Option<Mode> {
    match xdp_of(index, attached_mode).ok().flatten() {
        Some(XdpAttached::SocketBuffer) => Some(Mode::Generic),
        Some(XdpAttached::None) | None => {
            let by_link = || sys::count_at_tc(index).is_ok_and(|count| count > 0);
            let by_filter = || clsact::ours(index, Direction::Ingress).is_ok_and(|ours| ours.is_some());
            (by_link() || by_filter()).then_some(Mode::Tc)
        }
        Some(_) => Some(Mode::Native),
    }
}

fn attached_mode(link: &LinkMessage) -> Option<XdpAttached> {
    xdp_parts(link)?.iter().find_map(|part| match part {
        LinkXdp::Attached(mode) => Some(*mode),
        _ => None,
    })
}

fn attached_id(index: u32) -> io::Result<Option<u32>> {
    xdp_of(index, xdp_id)
}

/// Asks by netlink, and reads the answer with `read`. On a thread of its own: the caller may be inside an async runtime.
fn xdp_of<T: Send + 'static>(index: u32, read: fn(&LinkMessage) -> Option<T>) -> io::Result<Option<T>> {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let (connection, handle, _) = rtnetlink::new_connection()?;
                    let driver = tokio::spawn(connection);
                    let mut links = Box::pin(handle.link().get().match_index(index).execute());
                    let link = links.next().await;
                    driver.abort();
                    match link {
                        Some(Ok(link)) => Ok(read(&link)),
                        Some(Err(error)) => Err(io::Error::other(error)),
                        None => Ok(None),
                    }
                })
            })
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the netlink thread failed")))
    })
}

fn xdp_parts(link: &LinkMessage) -> Option<&Vec<LinkXdp>> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Xdp(xdp) => Some(xdp),
        _ => None,
    })
}

fn xdp_id(link: &LinkMessage) -> Option<u32> {
    xdp_parts(link)?.iter().find_map(|part| match part {
        LinkXdp::ProgId(id) if *id != 0 => Some(*id),
        _ => None,
    })
}

/// Processes that hold the program, or a link to it, open.
fn holders(id: u32) -> Vec<(u32, String)> {
    let line = format!("prog_id:\t{id}");
    let mut found = Vec::new();
    let Ok(processes) = fs::read_dir("/proc") else { return found };
    for process in processes.filter_map(Result::ok) {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fdinfo")) else { continue };
        let holds = files.filter_map(Result::ok).any(|file| {
            fs::read_to_string(file.path()).is_ok_and(|text| text.lines().any(|other| other == line))
        });
        if holds {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            found.push((pid, command.trim().to_owned()));
        }
    }
    found
}
