//! What a probe's child may say, and a delivery's may not.
#![forbid(unsafe_code)]

use super::tests::{BEGIN, claim, connected, plan, session};
use super::*;
use crate::ipc::observation::ResolverSeen;
use crate::tls_policy::Need;

const SILENT: Observation = Observation::Resolver(ResolverSeen::Silent);

fn observed(observation: Observation) -> Message {
    claim(Claim::Observed(Box::new(observation)))
}

fn probe() -> Plan {
    Plan { purpose: Purpose::Probe, ..plan(1) }
}

fn by_qmtp() -> Plan {
    Plan { protocol: Protocol::Qmtp, port: 209, ..probe() }
}

/// What becomes of a claim that the envelope would be sent now, after these messages.
fn ready(plan: &Plan, before: &[Message]) -> Result<Option<Seen>, Broken> {
    let mut transcript = Transcript::new(b"example.test", plan);
    for message in before {
        transcript.accept(message.clone()).unwrap();
    }
    transcript.accept(observed(Observation::Ready))?;
    assert!(transcript.accept(observed(Observation::Ready)).is_err(), "said twice of one server");
    Ok(transcript.into_seen().0.pop())
}

#[test]
fn a_delivery_observes_nothing() {
    for (before, observation) in [(vec![BEGIN], SILENT), (session(), Observation::Ready)] {
        let mut transcript = Transcript::new(b"example.test", &plan(1));
        for message in before {
            transcript.accept(message).unwrap();
        }
        assert_eq!(transcript.accept(observed(observation)), Err(Broken::Lied));
    }
}

#[test]
fn a_server_is_usable_only_where_the_envelope_would_be_sent() {
    let usable = Ok(Some(Seen::Usable("accepted message")));
    for (plan, way) in [(probe(), session()), (by_qmtp(), vec![BEGIN, connected(1)])] {
        for said in 1..way.len() {
            assert_eq!(ready(&plan, &way[..said]), Err(Broken::Lied), "{:?} {said}", plan.protocol);
        }
        assert_eq!(ready(&plan, &way), usable, "{:?}", plan.protocol);
        let tls = TlsPolicy { need: Need::Required, ..TlsPolicy::OPPORTUNISTIC };
        assert_eq!(ready(&Plan { tls, ..plan }, &way), Err(Broken::Lied), "in the clear against the rule");
    }
}

#[test]
fn what_a_probe_sees_is_bounded() {
    let mut transcript = Transcript::new(b"example.test", &probe());
    transcript.accept(BEGIN).unwrap();
    for _ in 0..MOST_SEEN {
        assert_eq!(transcript.accept(observed(SILENT)), Ok(None));
    }
    assert_eq!(transcript.accept(observed(SILENT)), Err(Broken::Lied));
}
