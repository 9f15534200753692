//! Writes seeds for the targets that read the vocabulary of the two processes, below the directory `SEEDS`. Made anew for
//! each run, because a message's octets change when the vocabulary does. No target, but linked as one: instrumented code
//! needs the fuzzer.
#![no_main]

use std::fs;
use std::path::PathBuf;

use libfuzzer_sys::fuzz_target;
use qmail_remote::authentication::Mechanism;
use qmail_remote::host::HostName;
use qmail_remote::ipc::frame::encode;
use qmail_remote::ipc::observation::{Observation, ResolverSeen};
use qmail_remote::ipc::qmtp_answer::QmtpAnswer;
use qmail_remote::ipc::reason::Reason;
use qmail_remote::ipc::secret::Secret;
use qmail_remote::ipc::server_reply::ReplyText;
use qmail_remote::ipc::signature::{Hash, Piece, Scheme, Signature};
use qmail_remote::ipc::{
    AnchorQuery, Claim, ConfinementStep, Family, LookupFailure, Message, MessageFault, Reply, Request,
    Server, Step, TlsFailure, Unused,
};
use qmail_remote::tls_policy::{Proof, TlsPolicy, Verified};

fn replied(step: Step, text: &str) -> Message {
    let text = ReplyText::try_from(format!("{text}\n").into_bytes()).expect("reply");
    Message::Claim(Claim::Replied(step, text))
}

/// Whole conversations, each with the bits of its plan.
fn conversations() -> Vec<(u16, Vec<Message>)> {
    let begin = || Message::Request(Request::Begin);
    let name = HostName::parse(b"mx.example.test").expect("name");
    let server = Server { name: Some(name.clone()), address: [192, 0, 2, 1].into() };
    let connected = || Message::Claim(Claim::Connected(server.clone()));
    let hello =
        || vec![begin(), connected(), replied(Step::Greeting, "220 mx"), replied(Step::Ehlo, "250 mx")];
    let named = Proof { certificate: Verified::Name, ..Proof::NOTHING };
    let tls = |proof| Message::Claim(Claim::TlsEstablished(proof));
    let rest = || {
        vec![
            replied(Step::Mail, "250 ok"),
            replied(Step::Rcpt, "250 ok"),
            replied(Step::Data, "354 go"),
            Message::Claim(Claim::EndOfData),
            replied(Step::EndOfData, "250 ok"),
        ]
    };
    let claims = [
        Claim::NotConfined(ConfinementStep(3)),
        Claim::Progress,
        Claim::NotFound(LookupFailure::NoSuchDomain),
        Claim::Unreachable,
        Claim::CannotBind(Family::V4),
        Claim::NoSocket,
        Claim::NotSmtp,
        Claim::Lost,
        Claim::TlsaUnknown(name.clone()),
        Claim::TlsFailed(TlsFailure::Handshake(Reason::new("why"))),
        Claim::MessageFault(MessageFault::PartialLastLine),
        Claim::Exhausted,
        Claim::Unanswered([192, 0, 2, 1].into()),
        Claim::Observed(Box::new(Observation::Ready)),
    ];
    let ready = || [hello(), vec![replied(Step::Mail, "250 ok"), replied(Step::Rcpt, "250 ok")]].concat();
    let end = || Message::Claim(Claim::EndOfData);
    let package = || vec![begin(), connected(), Message::Claim(Claim::Package)];
    let answered = |octets: &[u8]| {
        Message::Claim(Claim::Answered(QmtpAnswer::try_from(octets.to_vec()).expect("answer")))
    };
    let opens = |mechanism, challenge| {
        let asks = vec![replied(Step::Auth(mechanism), challenge), Message::Request(Request::AuthResponse)];
        [hello(), asks].concat()
    };
    let known = || [vec![replied(Step::AuthResponse, "235 hello")], rest()].concat();
    let mut all = vec![
        (0, [ready(), vec![end(), replied(Step::EndOfData, "250 ok")]].concat()),
        (0, [ready(), vec![end(), replied(Step::Chunk, "503 no")], rest()].concat()),
        (0, [hello(), vec![end()], ready().split_off(4), vec![replied(Step::EndOfData, "250 ok")]].concat()),
        (128 + 2, [package(), vec![end(), answered(b"Kok"), answered(b"Dno")]].concat()),
        (128, [package(), vec![Message::Claim(Claim::NotQmtp)]].concat()),
        (256, [opens(Mechanism::CramMd5, "334 PDEuMkBteD4="), known()].concat()),
        (
            768,
            [
                opens(Mechanism::Login, "334 VXNlcm5hbWU6"),
                vec![replied(Step::AuthUser, "334 UGFzcw==")],
                known(),
            ]
            .concat(),
        ),
        (768, [opens(Mechanism::Plain, "334 "), known()].concat()),
        (256, [hello(), vec![Message::Claim(Claim::NotAuthenticated(Unused::Withheld))], rest()].concat()),
        (
            256,
            [
                hello(),
                vec![
                    Message::Claim(Claim::NotAuthenticated(Unused::Withheld)),
                    tls(Proof::NOTHING),
                    replied(Step::Ehlo, "250 mx"),
                ],
                rest(),
            ]
            .concat(),
        ),
        (2048, [hello(), vec![Message::Claim(Claim::NoSmtpUtf8)]].concat()),
        (0, [hello(), rest()].concat()),
        (4, [hello(), vec![tls(Proof::NOTHING), replied(Step::Ehlo, "250 mx")], rest()].concat()),
        (12, [hello(), vec![tls(named), replied(Step::Ehlo, "250 mx")], rest()].concat()),
        (32, [vec![begin(), connected(), tls(Proof::NOTHING)], hello().split_off(2), rest()].concat()),
        (
            64,
            [
                vec![begin(), connected(), Message::Request(Request::TlsPolicy)],
                vec![Message::Request(Request::TrustAnchors(AnchorQuery::File))],
            ]
            .concat(),
        ),
        (0, vec![begin(), connected(), replied(Step::Greeting, "554 no"), Message::Claim(Claim::Exhausted)]),
    ];
    let piece = |octets: &[u8]| Message::ToBeSigned(Piece::try_from(octets.to_vec()).expect("short"));
    let sign = || Message::Request(Request::Sign(Scheme::Ecdsa(Hash::Sha256)));
    let signed = vec![begin(), connected(), piece(b"TLS"), sign(), tls(Proof::NOTHING)];
    all.push((4096 + 32, [signed, hello().split_off(2), rest()].concat()));
    all.push((4096, [hello(), vec![piece(b"TLS"), piece(b" 1.3"), sign(), sign()]].concat()));
    all.extend(claims.map(|claim| (0, vec![begin(), Message::Claim(claim)])));

    let claim = Message::Claim;
    let refused = |texts: &[&str]| {
        let of_each = |text| vec![connected(), replied(Step::Greeting, text)];
        let walk = texts.iter().flat_map(|text| of_each(text));
        [begin()].into_iter().chain(walk).collect::<Vec<_>>()
    };
    let exhausted = || Message::Claim(Claim::Exhausted);
    all.push((0, [refused(&["554 no"]), vec![claim(Claim::Unreachable), exhausted()]].concat()));
    all.push((0, [refused(&["554 no", "421 later"]), vec![exhausted()]].concat()));
    all.push((0, [refused(&["421 later", "554 no"]), vec![exhausted()]].concat()));
    all.push((0, [refused(&["554 no", "554 no"]), vec![exhausted()]].concat()));
    let to_two = |first, second| {
        let answers =
            [replied(Step::Mail, "250 ok"), replied(Step::Rcpt, first), replied(Step::Rcpt, second)];
        [hello(), answers.to_vec()].concat()
    };
    all.push((2, to_two("450 later", "550 no")));
    all.push((2, to_two("550 no", "550 no")));
    all.push((2, [to_two("250 ok", "550 no"), rest().split_off(2)].concat()));
    // A probe that sees something.
    let observed = |seen| Message::Claim(Claim::Observed(Box::new(seen)));
    let validates = observed(Observation::Resolver(ResolverSeen::Validates));
    all.push((16, vec![begin(), validates, claim(Claim::Unreachable), exhausted()]));
    all.push((16, [hello(), vec![observed(Observation::Ready), exhausted()]].concat()));
    // An exchanger's rule, which none has and which each has; and trust anchors by the plan, and by such a rule.
    let asked = || vec![begin(), connected(), Message::Request(Request::TlsPolicy)];
    let exact = || tls(Proof { certificate: Verified::ExactName, ..Proof::NOTHING });
    let anchors = |query| Message::Request(Request::TrustAnchors(query));
    let over_tls = || [vec![exact(), replied(Step::Ehlo, "250 mx")], rest()].concat();
    all.push((64, [asked(), hello().split_off(2), rest()].concat()));
    all.push((8192 + 64, [asked(), hello().split_off(2), over_tls()].concat()));
    all.push((8192 + 64, [asked(), vec![anchors(AnchorQuery::File)]].concat()));
    all.push((12, [hello(), vec![anchors(AnchorQuery::BySubject(7))], over_tls()].concat()));
    all.push((16384 + 12, [hello(), vec![anchors(AnchorQuery::File)], over_tls()].concat()));
    let pinned = Proof { pinned: true, ..Proof::NOTHING };
    all.push((32768 + 4, [hello(), vec![tls(pinned), replied(Step::Ehlo, "250 mx")], rest()].concat()));
    // Refusals without the credentials, and a connection that ends when the message may be there.
    for (plan, unused) in [(256, Unused::NotOffered), (256, Unused::Withheld)] {
        for text in ["530 who", "550 no"] {
            let without = || [hello(), vec![claim(Claim::NotAuthenticated(unused))]].concat();
            all.push((plan, [without(), vec![replied(Step::Mail, text)]].concat()));
            let refusal = vec![replied(Step::Mail, "250 ok"), replied(Step::Rcpt, text)];
            all.push((plan, [without(), refusal].concat()));
        }
    }
    let failures = [
        LookupFailure::Temporary,
        LookupFailure::NoAddress,
        LookupFailure::NullMx,
        LookupFailure::OnlyOurselves,
        LookupFailure::AliasTemporary,
    ];
    all.extend(failures.map(|failure| (0, vec![begin(), claim(Claim::NotFound(failure))])));
    for fault in [MessageFault::Unreadable, MessageFault::PartialLastLine] {
        let fault = || vec![replied(Step::Data, "354 go"), claim(Claim::MessageFault(fault))];
        all.push((0, [ready(), fault()].concat()));
    }
    all.push((128, [package(), vec![claim(Claim::MessageFault(MessageFault::Unreadable))]].concat()));
    // What must not be: a second server after a challenge; credentials in clear, or for anybody; a chain for a name; a rule that nobody asked for.
    all.push((256, opens(Mechanism::Login, "334 VXNlcm5hbWU6")));
    all.push((256 + 1024, opens(Mechanism::CramMd5, "334 PDEuMkBteD4=")));
    let to_cram = || opens(Mechanism::CramMd5, "334 PDEuMkBteD4=");
    for known in [to_cram().len() - 1, to_cram().len()] {
        let (mut first, second) = (to_cram(), to_cram().split_off(1));
        first.truncate(known);
        all.push((256, [first, vec![claim(Claim::Lost)], second].concat()));
    }
    let chain = Proof { certificate: Verified::Chain, ..Proof::NOTHING };
    all.push((12, [hello(), vec![tls(chain), replied(Step::Ehlo, "250 mx")], rest()].concat()));
    all.push((64, [hello(), rest()].concat()));
    // What is to be signed for one connection, and a signature for the next.
    let broken_off = vec![begin(), connected(), piece(b"of the first"), claim(Claim::Lost)];
    all.push((4096, [broken_off, vec![connected(), piece(b"TLS"), sign()]].concat()));
    // Words of servers that would be more than words.
    all.push((0, [hello(), vec![replied(Step::Mail, "550 a\u{7}b\u{9b}2J\rc")]].concat()));
    all.push((128, [package(), vec![end(), answered(b"Kok\nRemote host said: 250\0r")]].concat()));
    all.push((0, [hello(), vec![end(), claim(Claim::Lost)]].concat()));
    all.push((128, [package(), vec![end(), claim(Claim::Lost)]].concat()));
    all
}

fn write_all() {
    let directory = PathBuf::from(std::env::var_os("SEEDS").expect("a directory"));
    let write = |target: &str, number: usize, octets: Vec<u8>| {
        fs::create_dir_all(directory.join(target)).expect("directory");
        fs::write(directory.join(target).join(format!("seed-{number}")), octets).expect("seed");
    };
    let frames = |messages: &[Message]| {
        messages.iter().flat_map(|message| encode(message).expect("frame")).collect::<Vec<u8>>()
    };
    for (number, (plan, messages)) in conversations().into_iter().enumerate() {
        let values = messages.iter().flat_map(|message| encode(message).expect("frame").split_off(4));
        write("transcript", number, plan.to_le_bytes().into_iter().chain(values).collect());
        write("frames", number, frames(&messages));
    }
    let secret = |octets| Secret::new(octets).expect("short");
    let replies = [
        Reply::Begin,
        Reply::TlsPolicy(TlsPolicy::OPPORTUNISTIC),
        Reply::TrustAnchors(b"-----BEGIN".to_vec()),
        Reply::NoMoreTrustAnchors,
        Reply::CramMd5(secret(b"YWxpY2U=")),
        Reply::Credentials { user: secret(b"alice"), password: secret(b"not one") },
        Reply::Signature(Signature::try_from(vec![7; 70]).expect("short")),
        Reply::Stop,
    ];
    let octets = replies.iter().flat_map(|reply| encode(reply).expect("frame")).collect();
    write("frames", 1000, octets);
}

fuzz_target!(init: write_all(), |_data: &[u8]| {});
