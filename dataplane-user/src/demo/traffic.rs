//! The demo's traffic: real sockets, every address, both protocols, at a bounded rate and in bounded
//! number.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::signals;
use super::tenants::{PORT, SERVICE, TENANTS, Tenant};
use crate::world::{Bound, Transport};

/// The most flows of one run. Each asks twice at most, so this is half the exchanges.
const FLOWS: usize = 1_000;
/// Questions of one flow: the second shows that a flow stays where it is.
const QUESTIONS: usize = 2;
/// The most flows that wait for answers at once.
const AT_ONCE: usize = 256;
/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long silence is listened to where silence is expected.
const SILENCE: Duration = Duration::from_millis(250);

/// A flow to be.
#[derive(Clone, Copy)]
struct Planned {
    tenant: &'static Tenant,
    transport: Transport,
    source: IpAddr,
    dscp: u8,
}

/// A flow that was.
pub(super) struct Flow {
    /// Whose.
    pub(super) tenant: &'static Tenant,
    /// Its protocol.
    pub(super) transport: Transport,
    /// Its source.
    pub(super) source: SocketAddr,
    /// Its destination.
    pub(super) destination: SocketAddr,
    /// Its DSCP.
    pub(super) dscp: u8,
    /// Who answered, each time.
    pub(super) answers: Vec<String>,
    /// Why there were no more answers: nothing came, or an error.
    pub(super) end: Option<String>,
}

/// One flow for every address, protocol and DSCP.
fn round() -> Vec<Planned> {
    let mut flows = Vec::new();
    for tenant in &TENANTS {
        for source in tenant.addresses() {
            for transport in [Transport::Tcp, Transport::Udp] {
                for dscp in tenant.dscps {
                    flows.push(Planned { tenant, transport, source, dscp: *dscp });
                }
            }
        }
    }
    flows
}

/// Talks for about `time`: the first round always, and as many more as fit.
pub(super) async fn talk(time: Duration) -> Vec<Flow> {
    let round = round();
    let total = FLOWS / round.len() * round.len();
    let pace = time / u32::try_from(total).unwrap_or(u32::MAX);
    let begin = Instant::now();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut under_way = JoinSet::new();
    let mut next = begin;
    for (number, planned) in round.iter().cycle().take(total).copied().enumerate() {
        if signals::caught() || (number >= round.len() && begin.elapsed() >= time) {
            break;
        }
        sleep_until(next).await;
        next += pace;
        // Never closed, so there is always a permit in the end.
        let place = Arc::clone(&places).acquire_owned().await;
        under_way.spawn(async move {
            let flow = converse(planned).await;
            drop(place);
            flow
        });
    }
    let mut flows = Vec::new();
    while let Some(flow) = under_way.join_next().await {
        match flow {
            Ok(flow) => flows.push(flow),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }
    flows
}

async fn converse(planned: Planned) -> Flow {
    let Planned { tenant, transport, source, dscp } = planned;
    let service = SERVICE[usize::from(source.is_ipv6())];
    let mut flow = Flow {
        tenant,
        transport,
        source: SocketAddr::new(source, 0),
        destination: SocketAddr::new(service, PORT),
        dscp,
        answers: Vec::new(),
        end: None,
    };
    flow.end = match ask(&mut flow).await {
        Ok(true) => None,
        Ok(false) => Some("silence".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    flow
}

/// Asks until an answer fails to come; true when all came.
async fn ask(flow: &mut Flow) -> std::io::Result<bool> {
    let patience = if flow.tenant.denied { SILENCE } else { PATIENCE };
    let bound = Bound::new(flow.transport, flow.source, flow.dscp).await?;
    flow.source = bound.source()?;
    let Some(mut connection) = bound.connect(flow.destination, patience).await? else {
        return Ok(false);
    };
    for _ in 0..QUESTIONS {
        match connection.ask(b"who are you?\n", patience).await? {
            Some(name) => flow.answers.push(name),
            None => return Ok(false),
        }
    }
    Ok(true)
}
