//! Many connections that stay open, each of which knows who answered first.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use keysteer::world::{Bound, Connection, Transport};
use keysteer_tests::site::{ADDRESSES, PORT, SERVICE, Site, v4, v6};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How long an answer may take: a segment that is lost is sent again within that.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many are asked at once.
const AT_ONCE: usize = 64;

/// A connection.
struct Member {
    source: SocketAddr,
    host: String,
    /// `None` once it broke.
    connection: Option<Connection>,
}

/// Connections of the client.
pub(super) struct Crowd<'s> {
    site: &'s Site,
    ipv6: bool,
    members: Vec<Member>,
    opened: usize,
    runtime: tokio::runtime::Runtime,
}

impl<'s> Crowd<'s> {
    pub(super) fn new(site: &'s Site, ipv6: bool) -> Self {
        // Both ends of every connection are in this process.
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { site, ipv6, members: Vec::new(), opened: 0, runtime }
    }

    /// Opens connections of these tenants, and gives how many answered where.
    pub(super) fn open(&mut self, connections: usize, tenants: &[u8]) -> BTreeMap<String, usize> {
        let to = SocketAddr::new(SERVICE[usize::from(self.ipv6)], PORT);
        let sources: Vec<SocketAddr> = (self.opened..self.opened + connections)
            .map(|at| {
                let tenant = tenants[at % tenants.len()];
                let number = 1 + u8::try_from(at / tenants.len() % usize::from(ADDRESSES)).unwrap();
                let address = if self.ipv6 { v6(tenant, number) } else { v4(tenant, number) };
                SocketAddr::new(address, 0)
            })
            .collect();
        self.opened += connections;
        let runtime = &self.runtime;
        let members: Vec<Member> = self
            .site
            .client
            .run(|| {
                sources
                    .chunks(AT_ONCE)
                    .flat_map(|sources| {
                        runtime.block_on(async {
                            let all = sources.iter().map(|source| open(*source, to));
                            futures_util::future::join_all(all).await
                        })
                    })
                    .collect()
            })
            .unwrap();
        let mut hosts = BTreeMap::new();
        for member in &members {
            *hosts.entry(member.host.clone()).or_default() += 1;
        }
        self.members.extend(members);
        hosts
    }

    /// Asks on every connection; who does not answer, or another than before, broke it.
    pub(super) fn ask_all(&mut self) {
        for members in self.members.chunks_mut(AT_ONCE) {
            self.runtime.block_on(async {
                futures_util::future::join_all(members.iter_mut().map(ask)).await;
            });
        }
    }

    /// How many are with each host.
    pub(super) fn hosts(&self) -> BTreeMap<&str, usize> {
        let mut hosts = BTreeMap::new();
        for member in &self.members {
            *hosts.entry(member.host.as_str()).or_default() += 1;
        }
        hosts
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    /// How many broke.
    pub(super) fn broken(&self) -> usize {
        self.members.iter().filter(|member| member.connection.is_none()).count()
    }

    /// Source and destination of each.
    pub(super) fn tuples(&self) -> Vec<(SocketAddr, SocketAddr)> {
        let to = SocketAddr::new(SERVICE[usize::from(self.ipv6)], PORT);
        self.members.iter().map(|member| (member.source, to)).collect()
    }

    /// Ends all.
    pub(super) fn close(self) {
        drop(self.members);
    }
}

async fn open(source: SocketAddr, to: SocketAddr) -> Member {
    let bound = Bound::new(Transport::Tcp, source, 0).await.unwrap();
    let source = bound.source().unwrap();
    let connection = bound.connect(to, PATIENCE).await.unwrap();
    let mut connection = connection.unwrap_or_else(|| panic!("{source} gets no connection"));
    let host = connection.ask(b"who?", PATIENCE).await.unwrap();
    let host = host.unwrap_or_else(|| panic!("{source} gets no answer"));
    Member { source, host, connection: Some(connection) }
}

async fn ask(member: &mut Member) {
    let Some(connection) = &mut member.connection else { return };
    let answer = connection.ask(b"still?", PATIENCE).await;
    if !matches!(&answer, Ok(Some(host)) if *host == member.host) {
        println!("{} broke: was with {}, now {answer:?}", member.source, member.host);
        member.connection = None;
    }
}
