//! Plans for the monitor's side of a conversation, chosen by bits; and what must come of a delivery by what it came through,
//! told apart from the program's own table of permits, classes of replies, and rules for TLS and credentials.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use qmail_remote::authentication::{Authentication, Mechanism};
use qmail_remote::envelope::Path;
use qmail_remote::host::{HeloName, HostName};
use qmail_remote::ipc::qmtp_answer::QmtpAnswer;
use qmail_remote::ipc::server_reply::ReplyText;
use qmail_remote::ipc::{Claim, LookupFailure, Message, MessageFault, Server, Step, Unused};
use qmail_remote::monitor::control::tlsdestinations::{Kind, TlsRule};
use qmail_remote::monitor::outcome::Task;
use qmail_remote::plan::{
    ClientCertificate, Destination, LocalAddresses, OwnAddresses, Plan, Protocol, Purpose, Resolvers,
    Timeouts, TlsStart,
};
use qmail_remote::tls_policy::{
    CertificateNeed, Fingerprint, Need, Proof, TlsPolicy, TrustAnchors, Verified,
};

/// A plan: to 1 to 3 recipients, and by the other bits with each kind of TLS, of credentials and of address, by SMTP or QMTP.
pub fn plan(bits: u16) -> Plan {
    let bit = |number: u8| bits & (1 << number) != 0;
    let second = Duration::from_secs(1);
    let need = if bit(2) { Need::Required } else { Need::Optional };
    let anchors = if bit(14) { TrustAnchors::File("ca.pem".into()) } else { TrustAnchors::System };
    let certificate = match (bit(2), bit(3)) {
        (true, true) => CertificateNeed::Name(anchors),
        _ => CertificateNeed::Nothing,
    };
    let pin = (bit(2) && bit(15)).then(|| Fingerprint { hex: "00".repeat(32), digest: None });
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
        tls: TlsPolicy { need, certificate, pin, ..TlsPolicy::OPPORTUNISTIC },
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

/// The rule that the name of each exchanger has, by another of the bits: nothing without its own name in its certificate.
pub fn exchanger_rule(bits: u16) -> Option<TlsRule> {
    (bits & (1 << 13) != 0).then(|| TlsRule { kind: Kind::ExactName, ..TlsRule::default_rule() })
}

/// What a delivery has come through, as the claims have it.
#[derive(Debug)]
pub struct Steps<'a> {
    plan: &'a Plan,
    /// Of the present connection: a letter a step, a small one for a refusal.
    taken: String,
    server: Option<Server>,
    tls: Option<Proof>,
    /// Whether the rule for the exchanger's name was asked for, and whether there was one.
    rule: Option<bool>,
    /// The mechanism that was answered last.
    mechanism: Option<Mechanism>,
    /// Whether a server was told to go on with AUTH: from there on no other gets the message.
    is_challenged: bool,
    unused: Option<Unused>,
    /// What was sent to be signed since the last signature.
    to_be_signed: Vec<u8>,
    /// How often something was signed for the present connection.
    signed: usize,
    /// How often credentials were opened, for whichever connection.
    opened: usize,
    /// Whether an exchanger was left, and whether each was by a refusal for good.
    walked: Option<bool>,
    /// What the last message makes of this delivery, if it ends it.
    pub verdict: u8,
    /// The letters of the recipients.
    pub letters: Vec<u8>,
    /// Whether the message may be with a server.
    pub may_be_there: bool,
    /// Whether the last message was that a connection ended, or what came over it was no reply.
    pub is_lost: bool,
}

impl<'a> Steps<'a> {
    /// None yet, of this plan's.
    pub fn new(plan: &'a Plan) -> Steps<'a> {
        Steps {
            plan,
            taken: String::new(),
            server: None,
            tls: None,
            rule: None,
            mechanism: None,
            is_challenged: false,
            unused: None,
            to_be_signed: Vec::new(),
            signed: 0,
            opened: 0,
            walked: None,
            verdict: b'Z',
            letters: Vec::new(),
            may_be_there: false,
            is_lost: false,
        }
    }

    /// Takes note of a message that was accepted.
    pub fn note(&mut self, message: &Message) {
        self.is_lost = matches!(message, Message::Claim(Claim::Lost | Claim::NotSmtp));
        match message {
            Message::Claim(Claim::Connected(server)) => {
                assert!(!self.is_challenged, "{self:?}");
                let kept = Steps { walked: self.walked, opened: self.opened, ..Steps::new(self.plan) };
                *self = Steps { server: Some(server.clone()), ..kept };
            }
            Message::Claim(Claim::TlsEstablished(proof)) => (self.tls, self.unused) = (Some(*proof), None),
            Message::Claim(Claim::NotAuthenticated(unused)) => self.unused = Some(*unused),
            Message::Claim(Claim::EndOfData) => self.may_be_there = true,
            Message::Claim(Claim::Replied(step, reply)) => self.replied(*step, code(reply)),
            Message::Claim(Claim::Answered(answer)) => self.letters.push(letter(answer)),
            Message::Claim(
                Claim::Unreachable
                | Claim::TlsaUnknown(_)
                | Claim::TlsFailed(_)
                | Claim::Lost
                | Claim::NotSmtp,
            ) => self.walked = Some(false),
            Message::ToBeSigned(piece) => self.to_be_signed.extend(piece.as_bytes()),
            _ => {}
        }
        self.verdict = self.judge(message);
        self.taken.extend(step(message));
    }

    fn replied(&mut self, step: Step, code: u16) {
        match (step, code) {
            (Step::Greeting, 220) | (Step::Ehlo | Step::Helo, 250) | (Step::Ehlo, 500..) => {}
            (Step::Greeting | Step::Ehlo | Step::Helo, _) => {
                self.walked = Some(self.walked.unwrap_or(true) && code >= 500);
            }
            (Step::Auth(mechanism), _) => {
                (self.mechanism, self.is_challenged) = (Some(mechanism), code == 334);
            }
            (Step::Rcpt, 200..300) => self.letters.push(b'r'),
            (Step::Rcpt, _) => self.letters.push(if self.is_for_good(code) { b'h' } else { b's' }),
            (Step::Chunk, _) => {
                self.letters.clear();
                self.may_be_there = false;
            }
            _ => {}
        }
    }

    /// Whether a refusal of the envelope would be the same with the credentials.
    fn is_for_good(&self, code: u16) -> bool {
        match self.unused {
            None => code >= 500,
            Some(Unused::NotOffered) => code >= 500 && code != 530,
            Some(Unused::Withheld) => false,
        }
    }

    /// What this message makes of a delivery that it ends.
    fn judge(&self, message: &Message) -> u8 {
        let all_refused = self.letters.iter().all(|&letter| letter == b'h');
        let Message::Claim(claim) = message else { return b'Z' };
        let is_for_good = match claim {
            Claim::Replied(Step::EndOfData, reply) if code(reply) < 300 => return b'K',
            Claim::Answered(_) if self.letters.contains(&b'r') => return b'K',
            Claim::NotFound(failure) => {
                !matches!(failure, LookupFailure::Temporary | LookupFailure::AliasTemporary)
            }
            Claim::MessageFault(fault) => *fault == MessageFault::PartialLastLine,
            Claim::NoSmtpUtf8 => true,
            Claim::Exhausted => self.walked == Some(true),
            Claim::Replied(Step::Mail, reply) => self.is_for_good(code(reply)),
            Claim::Replied(Step::Rcpt, _) | Claim::Answered(_) => all_refused,
            Claim::Replied(Step::Data | Step::EndOfData, reply) => code(reply) >= 500,
            _ => false,
        };
        if is_for_good { b'D' } else { b'Z' }
    }

    /// What the request that was noted last makes the monitor do, with the rule of this exchanger's name: nothing that was
    /// not called for.
    pub fn obey(&mut self, task: &Task, rule: Option<&TlsRule>) {
        match task {
            Task::Begin | Task::Stop => {}
            Task::RaisePolicy(name) => {
                assert!(self.plan.exchanger_rules && self.rule.is_none(), "{self:?}");
                assert_eq!(Some(name), self.server.as_ref().and_then(|server| server.name.as_ref()));
                self.rule = Some(rule.is_some());
            }
            Task::HandOut(anchors, _) => {
                let needed = match &self.plan.tls.certificate {
                    CertificateNeed::Name(anchors) => Some(anchors),
                    _ => (self.rule == Some(true)).then_some(&TrustAnchors::System),
                };
                assert!(needed == Some(anchors) && self.is_asked() && self.tls.is_none(), "{self:?}");
            }
            Task::Digest(_) | Task::Release => {
                self.opened += 1;
                assert!(self.opened == 1 && self.may_open(*task == Task::Release), "{self:?}");
            }
            Task::Sign(_, octets) => {
                self.signed += 1;
                assert!(self.signed == 1 && self.plan.client_certificate.is_some(), "{self:?}");
                assert!(*octets == std::mem::take(&mut self.to_be_signed) && self.tls.is_none(), "{self:?}");
            }
        }
    }

    /// Whether this server may have the password itself, or a digest of it.
    fn may_open(&self, itself: bool) -> bool {
        let (Some(authentication), Some(server)) = (self.plan.authentication, &self.server) else {
            return false;
        };
        let is_local = match server.address {
            IpAddr::V4(address) => address.octets()[0] == 127,
            IpAddr::V6(address) => {
                let mapped = address.to_ipv4_mapped();
                address.segments() == [0, 0, 0, 0, 0, 0, 0, 1]
                    || mapped.is_some_and(|mapped| mapped.octets()[0] == 127)
            }
        };
        let is_hidden = self.tls.is_some() || is_local || authentication.in_clear;
        let is_who_it_says = self.tls.is_some_and(|proof| {
            proof.tlsa
                || proof.pinned
                || proof.certificate == Verified::Name
                || proof.certificate == Verified::ExactName
        });
        let is_by_this_mechanism = match self.mechanism {
            Some(Mechanism::Login | Mechanism::Plain) => itself && is_hidden,
            Some(Mechanism::CramMd5) => !itself,
            None => false,
        };
        is_by_this_mechanism && (is_who_it_says || !authentication.verified_only) && self.is_proved()
    }

    /// Whether it is known which rule this exchanger's name has.
    fn is_asked(&self) -> bool {
        let has_name = self.server.as_ref().is_some_and(|server| server.name.is_some());
        self.rule.is_some() || !self.plan.exchanger_rules || !has_name
    }

    /// Whether TLS is what the plan's rule and the exchanger's want.
    fn is_proved(&self) -> bool {
        let (policy, is_raised) = (&self.plan.tls, self.rule == Some(true));
        let is_enough = match self.tls {
            None => policy.need != Need::Required && !is_raised,
            Some(Proof { tlsa, pinned, certificate }) => {
                let (by_name, by_others) = match &policy.certificate {
                    CertificateNeed::Name(anchors) => (true, *anchors != TrustAnchors::System),
                    _ => (false, false),
                };
                let is_named = match certificate {
                    Verified::ExactName => true,
                    Verified::Name => !is_raised,
                    Verified::Chain | Verified::Nothing => !is_raised && !by_name,
                };
                (pinned || policy.pin.is_none()) && (is_named || (tlsa && !by_others))
            }
        };
        is_enough && self.is_asked()
    }

    /// Whether these steps are those of a message that a server has taken for one recipient at least of this plan's.
    pub fn allow_success(&self) -> bool {
        let plan = self.plan;
        let accepted = match plan.protocol {
            Protocol::Smtp => self.smtp(),
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
        accepted.is_some_and(is_answered) && self.is_proved()
    }

    /// The answers to the recipients of the last transaction of a whole dialogue.
    fn smtp(&self) -> Option<&str> {
        let plan = self.plan;
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

/// The letter of a step, if the message is one.
fn step(message: &Message) -> Option<char> {
    let Message::Claim(claim) = message else { return None };
    let if_good = |good: bool, step: char| if good { step } else { step.to_ascii_lowercase() };
    Some(match claim {
        Claim::Connected(_) => 'C',
        Claim::TlsEstablished(_) => 'T',
        Claim::Replied(step, reply) => {
            let (code, completed) = (code(reply), code(reply) < 300);
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
        Claim::NotAuthenticated(_) => 'N',
        Claim::EndOfData => 'E',
        Claim::Package => 'P',
        Claim::Answered(answer) => if_good(letter(answer) == b'r', 'R'),
        _ => return None,
    })
}

/// The code, by its digits.
fn code(reply: &ReplyText) -> u16 {
    reply.as_bytes().iter().take(3).fold(0, |code, digit| code * 10 + u16::from(digit - b'0'))
}

/// What qmail-rspawn is told of an answer.
fn letter(answer: &QmtpAnswer) -> u8 {
    match Vec::from(answer.clone()).first() {
        Some(b'K') => b'r',
        Some(b'D') => b'h',
        _ => b's',
    }
}
