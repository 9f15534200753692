//! Plans for the monitor's side of a conversation, chosen by bits; and what a delivery must have come through for a `K`,
//! told apart from the program's own table of permits.
#![forbid(unsafe_code)]

use std::net::Ipv4Addr;
use std::time::Duration;

use qmail_remote::authentication::Authentication;
use qmail_remote::envelope::Path;
use qmail_remote::host::{HeloName, HostName};
use qmail_remote::ipc::qmtp_answer::Decision;
use qmail_remote::ipc::server_reply::ReplyClass;
use qmail_remote::ipc::{Claim, Message, Request, Step};
use qmail_remote::plan::{
    ClientCertificate, Destination, LocalAddresses, OwnAddresses, Plan, Protocol, Purpose, Resolvers,
    Timeouts, TlsStart,
};
use qmail_remote::tls_policy::{CertificateNeed, Need, Proof, TlsPolicy, TrustAnchors};

/// A plan: to 1 to 3 recipients, and by the other bits with each kind of TLS, of credentials and of address, by SMTP or QMTP.
pub fn plan(bits: u16) -> Plan {
    let bit = |number: u8| bits & (1 << number) != 0;
    let second = Duration::from_secs(1);
    let need = if bit(2) { Need::Required } else { Need::Optional };
    let certificate = match (bit(2), bit(3)) {
        (true, true) => CertificateNeed::Name(TrustAnchors::System),
        _ => CertificateNeed::Nothing,
    };
    let recipient: &[u8] = if bit(11) { "b\u{f6}b@example.test".as_bytes() } else { b"bob@example.test" };
    let recipient = Path::forward(recipient).expect("address");
    Plan {
        purpose: if bit(4) { Purpose::Probe } else { Purpose::Deliver },
        destination: Destination::Exchangers(
            HostName::parse(b"example.test").expect("name"),
            OwnAddresses::default(),
        ),
        protocol: if bit(7) { Protocol::Qmtp } else { Protocol::Smtp },
        port: 25,
        tls_start: if bit(5) { TlsStart::Implicit } else { TlsStart::StartTls },
        tls: TlsPolicy { need, certificate, ..TlsPolicy::OPPORTUNISTIC },
        exchanger_rules: bit(6),
        authentication: bit(8).then_some(Authentication { in_clear: bit(9), verified_only: bit(10) }),
        skip: Vec::new(),
        client_certificate: bit(12)
            .then(|| ClientCertificate { file: "client.pem".into(), chain: Vec::new() }),
        local: LocalAddresses { v4: Some(Ipv4Addr::new(192, 0, 2, 99)), v6: None },
        helo: HeloName::parse(b"client.example.test").expect("name"),
        sender: Path::reverse(b"").expect("address"),
        recipients: vec![recipient; usize::from(bits % 4).clamp(1, 3)],
        message_octets: None,
        message_offset: 0,
        timeouts: Timeouts { connect: second, remote: second, dns: second },
        resolvers: Resolvers { addresses: Vec::new(), trust_ad: false },
    }
}

/// What the present connection has come through, as the claims have it: a letter a step, a small one for a refusal.
#[derive(Debug, Default)]
pub struct Steps {
    taken: String,
    tls: Option<Proof>,
    /// Something that may end in a bounce was claimed: a refusal for good, a name without a server, a bad message.
    pub may_bounce: bool,
    /// How often credentials were opened for the present connection.
    pub opened: usize,
    /// How often something was signed for the present connection.
    pub signed: usize,
}

impl Steps {
    /// Takes note of a message that was accepted.
    pub fn note(&mut self, message: &Message) {
        let if_good = |good: bool, step: char| if good { step } else { step.to_ascii_lowercase() };
        let step = match message {
            Message::Claim(Claim::Connected(_)) => {
                (self.taken, self.tls) = (String::new(), None);
                (self.opened, self.signed) = (0, 0);
                'C'
            }
            Message::Claim(Claim::TlsEstablished(proof)) => {
                self.tls = Some(*proof);
                'T'
            }
            Message::Claim(Claim::Replied(step, reply)) => {
                let (code, completed) = (reply.code().value(), reply.class() == ReplyClass::Completed);
                self.may_bounce |= reply.class() == ReplyClass::Permanent;
                match step {
                    Step::Greeting => if_good(code == 220, 'G'),
                    Step::Ehlo | Step::Helo => if_good(code == 250, 'H'),
                    Step::Auth(_) | Step::AuthUser => 'u',
                    Step::AuthResponse => if_good(code == 235, 'A'),
                    Step::Mail => if_good(completed, 'M'),
                    Step::Rcpt => if_good(completed, 'R'),
                    Step::Data => if_good(code == 354, 'D'),
                    Step::Chunk => 'X',
                    Step::EndOfData => if_good(completed, 'F'),
                }
            }
            Message::Claim(Claim::NotAuthenticated(_)) => 'N',
            Message::Claim(Claim::EndOfData) => 'E',
            Message::Claim(Claim::Package) => 'P',
            Message::Claim(Claim::Answered(answer)) => {
                self.may_bounce |= answer.decision() == Decision::Rejected;
                if_good(answer.decision() == Decision::Accepted, 'R')
            }
            Message::Claim(Claim::NotFound(_) | Claim::MessageFault(_) | Claim::NoSmtpUtf8) => {
                self.may_bounce = true;
                return;
            }
            Message::Request(Request::AuthResponse) => {
                self.opened += 1;
                return;
            }
            Message::Request(Request::Sign(_)) => {
                self.signed += 1;
                return;
            }
            _ => return,
        };
        self.taken.push(step);
    }

    /// Whether these steps are those of a message that a server has taken for one recipient at least of this plan's.
    pub fn allow_success(&self, plan: &Plan) -> bool {
        let accepted = match plan.protocol {
            Protocol::Smtp => self.smtp(plan),
            Protocol::Qmtp => match plan.tls_start {
                TlsStart::Implicit => self.taken.strip_prefix("CTPE"),
                TlsStart::StartTls => self.taken.strip_prefix("CPE"),
            },
        };
        let is_answered = |answers: &str| {
            answers.len() == plan.recipients.len()
                && answers.chars().all(|step| step.eq_ignore_ascii_case(&'r'))
                && answers.contains('R')
        };
        accepted.is_some_and(is_answered) && plan.tls.allows(self.tls)
    }

    /// The answers to the recipients of the last transaction of a whole dialogue.
    fn smtp(&self, plan: &Plan) -> Option<&str> {
        let start = if plan.tls_start == TlsStart::Implicit { "CTG" } else { "CG" };
        let mut rest = after_hello(self.taken.strip_prefix(start)?)?;
        // AUTH may have been refused before STARTTLS: it counts for nothing after it.
        if let Some((before, inside)) = rest.split_once('T') {
            before.chars().all(|step| "uaN".contains(step)).then_some(())?;
            rest = after_hello(inside)?;
        }
        let envelope = rest.trim_start_matches(['u', 'a', 'A', 'N']);
        let authentication = rest.strip_suffix(envelope)?;
        if authentication.ends_with(['A', 'N']) != plan.authentication.is_some() {
            return None;
        }
        // What was said before a chunk was refused is forgotten.
        let last = envelope.rsplit('X').next()?.strip_suffix('F')?;
        // With the envelope; or after it, by BDAT or DATA.
        last.strip_prefix("EM").or_else(|| {
            let rest = last.strip_prefix('M')?.strip_suffix('E')?;
            Some(rest.strip_suffix('D').unwrap_or(rest))
        })
    }
}

/// What comes after EHLO, or HELO where that was refused.
fn after_hello(steps: &str) -> Option<&str> {
    steps.strip_prefix('h').unwrap_or(steps).strip_prefix('H')
}
