//! Answers of the DNS that are malformed, or answers to something else: each ends as a look-up that failed does, or is passed
//! over for the true answer behind it. What the program would do with the same answer undamaged is another thing each time.

use std::net::UdpSocket;

use world::dns_script::{Asked, DnsScript, framed, truly};
use world::dns_stub::Zone;
use world::smtp_sink::{Options, SmtpSink};
use world::{Delivery, Identity, World, in_world};

use crate::answer::{Answer, Record, TRUNCATED, UPDATE, name, pointer};

const ZONE: &str = "example.test MX 10 mx.example.test\n\
    mx.example.test A 192.0.2.10\n\
    six.test MX 10 mx.six.test\n\
    mx.six.test AAAA 2001:db8::10\n\
    dane.test MX 10 mx.dane.test\n\
    mx.dane.test A 192.0.2.10\n\
    soft.test MX SERVFAIL\n\
    soft.test CNAME example.test\n";

const FAILED: &str = "ZSorry, I couldn't find any host by that name. (#4.1.2)\n";
const NO_SUCH_HOST: &str = "DSorry, I couldn't find any host named example.test. (#5.1.2)\n";
const NOBODY: &str = "ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n";
const NO_TLS: &str =
    "ZI wasn't able to negotiate a StartTLS connection with: mx.dane.test for dane.test. (#4.4.1)\n";
const UNKNOWN: &str = "ZTLSA lookup failed temporarily for: mx.dane.test. (#4.4.3)\n";
const ALIAS: &str = "ZCNAME lookup failed temporarily for: soft.test. (#4.4.3)\n";
const ACCEPTED: [&str; 2] = ["r", "K192.0.2.10 accepted message.\nRemote host said: 250 2.0.0 accepted\n"];

/// A question, the host that it is asked for, the data of a good answer, and the reports of a delivery with that answer and
/// with none.
struct Kind {
    host: &'static str,
    question: &'static str,
    data: Vec<u8>,
    good: &'static [&'static str],
    failed: &'static str,
}

fn kinds() -> [Kind; 5] {
    let exchanger = [&[0, 10], &*name("mx.example.test")].concat();
    let kind = |host, question, data: &[u8], good, failed| Kind {
        host,
        question,
        data: data.to_vec(),
        good,
        failed,
    };
    let digest = [&[3, 1, 1], [0xab; 32].as_slice()].concat();
    let address = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
    [
        kind("example.test", "example.test MX", &exchanger, &ACCEPTED, FAILED),
        kind("example.test", "mx.example.test A", &[192, 0, 2, 10], &ACCEPTED, FAILED),
        kind("six.test", "mx.six.test AAAA", &address, &[NOBODY], FAILED),
        kind("dane.test", "_25._tcp.mx.dane.test TLSA", &digest, &[NO_TLS], UNKNOWN),
        kind("soft.test", "soft.test CNAME", &name("example.test"), &[ALIAS], FAILED),
    ]
}

/// The servers of a test.
struct Scene {
    dns: DnsScript,
    _server: SmtpSink,
}

impl Scene {
    fn start(world: &World) -> Scene {
        world.control("me", "client.example.test\n");
        let dns = DnsScript::start(Zone::parse(ZONE).expect("zone")).expect("name server");
        let address = "192.0.2.10:25".parse().expect("address");
        let server = SmtpSink::start(&[address], Options::named("mx.test")).expect("server");
        Scene { dns, _server: server }
    }

    /// Delivers to `host` while `script` is sent for this question, and the truth for all others.
    #[track_caller]
    fn assert_reports(
        &self,
        (host, question): (&str, &'static str),
        mut script: impl FnMut(Asked<'_>) -> Vec<Vec<u8>> + Send + 'static,
        reports: &[&str],
    ) {
        self.dns.play(move |asked| match asked.question == question {
            true => script(asked),
            false => truly(asked),
        });
        let delivery = Delivery::new(env!("CARGO_BIN_EXE_qmail-remote")).identity(Identity::Qmailr);
        delivery
            .host(host)
            .sender("a@sender.test")
            .recipient("bob@example.test")
            .run()
            .assert_reports(reports);
    }
}

/// What is wrong, and how it comes to be.
type Damage = (&'static str, fn(&mut Answer));

const DAMAGES: [Damage; 19] = [
    ("no response", |answer| answer.flags = 0x0100),
    ("one more question than there is", |answer| answer.counts[0] = 2),
    ("65535 questions", |answer| answer.counts[0] = u16::MAX),
    ("one more record than there is", |answer| answer.counts[1] = 2),
    ("65535 records", |answer| answer.counts[1] = u16::MAX),
    ("one authority more than there is", |answer| answer.counts[2] = 1),
    ("65535 authorities", |answer| answer.counts[2] = u16::MAX),
    ("one additional record more than there is", |answer| answer.counts[3] = 1),
    ("65535 additional records", |answer| answer.counts[3] = u16::MAX),
    ("the record's length one too large", |answer| lengthen(answer, 1)),
    ("the record's length one too large, and more behind it", |answer| {
        lengthen(answer, 1);
        repeat(answer);
    }),
    ("the record's length one too small", |answer| {
        lengthen(answer, -1);
        repeat(answer);
    }),
    ("the record's length 65535", |answer| answer.record.length = Some(u16::MAX)),
    ("a record without data", |answer| answer.record.data.clear()),
    ("a record without data, in the answer to an UPDATE", |answer| {
        answer.flags |= UPDATE;
        answer.record.data.clear();
    }),
    ("a record with too little data", |answer| {
        let half = answer.record.data.len() / 2;
        // TLSA records do not say how long they are: less than three octets are none.
        answer.record.data.truncate(half.min(2));
    }),
    ("a record of class CHAOS", |answer| answer.record.class = 3),
    ("two OPT records", |answer| {
        answer.counts[3] = 2;
        answer.rest = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0].repeat(2);
    }),
    ("an OPT record among the answers", |answer| {
        answer.counts[1] = 2;
        answer.rest = vec![0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    }),
];

/// The record's length says so much more or less than there is.
fn lengthen(answer: &mut Answer, by: i16) {
    let length = u16::try_from(answer.record.data.len()).expect("length");
    answer.record.length = length.checked_add_signed(by);
}

/// The good record once more.
fn repeat(answer: &mut Answer) {
    answer.counts[1] += 1;
    answer.rest = Record { length: None, ..answer.record.clone() }.octets();
}

#[test]
fn a_malformed_message_is_a_look_up_that_failed() {
    in_world(|world| {
        let scene = Scene::start(world);
        for Kind { host, question, data, good, failed } in kinds() {
            let whole = data.clone();
            let answer = move |asked: Asked<'_>| vec![Answer::to(asked.query, &whole).octets()];
            scene.assert_reports((host, question), answer, good);
            for (what, damage) in DAMAGES {
                // Printed where it fails.
                println!("{question}: {what}");
                let data = data.clone();
                let script = move |asked: Asked<'_>| vec![Answer::to(asked.query, &data).but(damage)];
                scene.assert_reports((host, question), script, &[failed]);
            }
        }
    });
}

/// A name that stands at this offset, in a message that ends behind it after so many octets.
type BadName = (&'static str, fn(usize, usize) -> Vec<u8>);

const NAMES: [BadName; 13] = [
    ("points to itself", |at, _| pointer(at)),
    ("points to its own beginning", |at, _| [b"\x01a", &*pointer(at)].concat()),
    ("points to what points to it", |at, _| [pointer(at + 2), pointer(at)].concat()),
    ("points forward", |at, _| [&*pointer(at + 2), b"\x01a\0"].concat()),
    ("points to the end", |at, behind| pointer(at + 2 + behind)),
    ("points beyond the end", |_, _| pointer(0x3fff)),
    ("points into the header", |_, _| pointer(2)),
    ("half a pointer", |_, _| vec![0xc0]),
    ("a label of a reserved kind", |_, _| b"\x80a\0".to_vec()),
    ("a label of another reserved kind", |_, _| b"\x41a\0".to_vec()),
    ("a label that is longer than what follows", |_, _| b"\x3fa".to_vec()),
    // The longest has 255.
    ("256 octets", |_, _| name(&[63, 63, 63, 62].map(|length| "a".repeat(length)).join("."))),
    ("20001 octets", |_, _| name(&vec!["a"; 10_000].join("."))),
];

#[test]
fn a_malformed_name_is_a_look_up_that_failed() {
    in_world(|world| {
        let scene = Scene::start(world);
        for Kind { host, question, data, failed, .. } in kinds() {
            for (what, bad) in NAMES {
                println!("{question}: the record's name: {what}");
                let data = data.clone();
                let script = move |asked: Asked<'_>| {
                    let answer = Answer::to(asked.query, &data);
                    let behind = 10 + data.len();
                    vec![answer.but(|answer| answer.record.name = bad(answer.start(), behind))]
                };
                scene.assert_reports((host, question), script, &[failed]);
            }
            // What stands before the name.
            let before: &'static [u8] = match question.split_once(' ') {
                Some((_, "MX")) => &[0, 10],
                Some((_, "CNAME")) => &[],
                _ => continue,
            };
            for (what, bad) in NAMES {
                println!("{question}: the name in the record's data: {what}");
                let script = move |asked: Asked<'_>| {
                    let answer = Answer::to(asked.query, before);
                    vec![answer.but(|answer| {
                        answer.record.data.extend(bad(answer.data_start() + before.len(), 0));
                    })]
                };
                scene.assert_reports((host, question), script, &[failed]);
            }
        }
    });
}

#[test]
fn an_answer_that_is_cut_anywhere_is_a_look_up_that_failed() {
    in_world(|world| {
        let scene = Scene::start(world);
        let [mx, ..] = kinds();
        let whole =
            Answer::to(&[&[0; 12], &*name("example.test"), &[0; 4]].concat(), &mx.data).octets().len();
        // Less than an id is no answer to anything: `what_is_no_answer_to_the_question_is_passed_over`.
        for length in 2..whole {
            println!("{length} octets of {whole}");
            let data = mx.data.clone();
            let script = move |asked: Asked<'_>| {
                let mut octets = Answer::to(asked.query, &data).octets();
                assert_eq!(octets.len(), whole);
                octets.truncate(length);
                vec![octets]
            };
            scene.assert_reports((mx.host, mx.question), script, &[FAILED]);
        }
    });
}

#[test]
fn garbage_is_a_look_up_that_failed() {
    in_world(|world| {
        let scene = Scene::start(world);
        for Kind { host, question, failed, .. } in kinds() {
            for garbage in [&[0xff; 100], &[0; 100], &[0x80; 100], &[0xc0; 100], [b'a'; 1200].as_slice()] {
                println!("{question}: {:?} and so on", garbage.first());
                let script = move |asked: Asked<'_>| vec![[&asked.query[..2], garbage].concat()];
                scene.assert_reports((host, question), script, &[failed]);
            }
            println!("{question}: the question again");
            scene.assert_reports((host, question), |asked| vec![asked.query.to_vec()], &[failed]);
        }
    });
}

/// What makes it the answer to something else.
const OTHER_QUESTIONS: [Damage; 8] = [
    ("another id", |answer| answer.id ^= 1),
    ("another id altogether", |answer| answer.id = !answer.id),
    ("the octets of the id in the other order", |answer| answer.id = answer.id.rotate_left(8) ^ 0x0100),
    ("another name", |answer| answer.question = [&*name("example.tesd"), &[0, 15, 0, 1]].concat()),
    ("another type", |answer| answer.question = [&*name("example.test"), &[0, 1, 0, 1]].concat()),
    ("another class", |answer| answer.question = [&*name("example.test"), &[0, 15, 0, 3]].concat()),
    ("no question", |answer| {
        answer.counts[0] = 0;
        answer.question.clear();
        answer.record.name = name("example.test");
    }),
    ("another question before", |answer| {
        answer.counts[0] = 2;
        answer.question = [&*name("a.test"), &[0, 15, 0, 1], &*answer.question].concat();
    }),
];
/// A denial like this by TCP is taken for one of what was asked.
const TWICE: Damage = ("the question twice", |answer| {
    answer.counts[0] = 2;
    answer.question = answer.question.repeat(2);
});

const MX: (&str, &str) = ("example.test", "example.test MX");

#[test]
fn what_is_no_answer_to_the_question_is_passed_over() {
    in_world(|world| {
        let scene = Scene::start(world);
        let denial = |asked: Asked<'_>| vec![Answer::to(asked.query, &[]).denial().octets()];
        scene.assert_reports(MX, denial, &[NO_SUCH_HOST]);
        for (what, damage) in OTHER_QUESTIONS.into_iter().chain([TWICE]) {
            println!("{what}");
            let script =
                move |asked: Asked<'_>| vec![Answer::to(asked.query, &[]).denial().but(damage), asked.answer];
            scene.assert_reports(MX, script, &ACCEPTED);
        }
        for length in [0, 1] {
            println!("{length} octets");
            let script = move |asked: Asked<'_>| vec![asked.query[..length].to_vec(), asked.answer];
            scene.assert_reports(MX, script, &ACCEPTED);
        }
    });
}

#[test]
fn an_answer_from_elsewhere_is_passed_over() {
    in_world(|world| {
        let scene = Scene::start(world);
        for elsewhere in ["127.0.0.2:53", "127.0.0.1:5353", "192.0.2.10:53"] {
            println!("{elsewhere}");
            let socket = UdpSocket::bind(elsewhere).expect("another address");
            let script = move |asked: Asked<'_>| {
                let denial = Answer::to(asked.query, &[]).denial().octets();
                socket.send_to(&denial, asked.peer).expect("a datagram");
                vec![asked.answer]
            };
            scene.assert_reports(MX, script, &ACCEPTED);
        }
    });
}

/// What goes through the stream for a question, before it is closed.
type Stream = (&'static str, fn(Asked<'_>) -> Vec<Vec<u8>>);

/// A denial, as it goes through a stream.
fn denial(asked: &Asked<'_>, damage: fn(&mut Answer)) -> Vec<u8> {
    framed(&Answer::to(asked.query, &[]).denial().but(damage))
}

/// The answer behind a length that is so much larger or smaller.
fn misframed(asked: &Asked<'_>, by: i16) -> Vec<u8> {
    let mut octets = framed(&asked.answer);
    let length = u16::from_be_bytes([octets[0], octets[1]]).wrapping_add_signed(by).to_be_bytes();
    octets[..2].copy_from_slice(&length);
    octets
}

const STREAMS_THAT_FAIL: [Stream; 13] = [
    ("nothing", |_| Vec::new()),
    ("half a length", |_| vec![vec![0]]),
    ("a length alone", |asked| vec![framed(&asked.answer)[..2].to_vec()]),
    ("a length of 0", |asked| vec![vec![0, 0], framed(&asked.answer)]),
    ("a length one too large", |asked| vec![misframed(&asked, 1)]),
    ("a length one too small", |asked| vec![misframed(&asked, -1)]),
    ("a length of 65535", |asked| vec![vec![0xff, 0xff], asked.answer]),
    ("garbage", |asked| vec![framed(&[&asked.query[..2], &[0xff; 100]].concat())]),
    ("the question again", |asked| vec![framed(asked.query)]),
    ("a truncated answer", |asked| vec![denial(&asked, |answer| answer.flags ^= TRUNCATED | 3)]),
    ("another id", |asked| vec![denial(&asked, |answer| answer.id ^= 1)]),
    ("another id's answer, a length one too small", |asked| {
        vec![denial(&asked, |answer| answer.id ^= 1), misframed(&asked, -1)]
    }),
    ("65535 octets", |asked| vec![framed(&[&asked.query[..2], &vec![0xff; 65533]].concat())]),
];

const STREAMS_THAT_ARE_READ: [Stream; 4] = [
    ("the answer", truly),
    ("another id before", |asked| vec![denial(&asked, |answer| answer.id ^= 1), framed(&asked.answer)]),
    ("garbage before", |asked| vec![framed(&[0xff; 100]), framed(&asked.answer)]),
    ("one octet before", |asked| vec![framed(&[0]), framed(&asked.answer)]),
];

/// Says by UDP that the answer is to be had by TCP.
fn by_tcp(stream: impl Fn(Asked<'_>) -> Vec<Vec<u8>> + Send + 'static) -> impl Fn(Asked<'_>) -> Vec<Vec<u8>> {
    move |asked| match asked.by_tcp {
        true => stream(asked),
        false => vec![Answer::to(asked.query, &[]).denial().but(|answer| answer.flags ^= TRUNCATED | 3)],
    }
}

#[test]
fn a_malformed_stream_is_a_look_up_that_failed() {
    in_world(|world| {
        let scene = Scene::start(world);
        for (what, stream) in STREAMS_THAT_FAIL {
            println!("{what}");
            scene.assert_reports(MX, by_tcp(stream), &[FAILED]);
        }
        for (what, stream) in STREAMS_THAT_ARE_READ {
            println!("{what}");
            scene.assert_reports(MX, by_tcp(stream), &ACCEPTED);
        }
    });
}

#[test]
fn an_answer_to_another_question_is_none_by_tcp_either() {
    in_world(|world| {
        let scene = Scene::start(world);
        let truth = |asked: Asked<'_>| vec![denial(&asked, |_| ())];
        scene.assert_reports(MX, by_tcp(truth), &[NO_SUCH_HOST]);
        for (what, damage) in OTHER_QUESTIONS {
            println!("a denial: {what}");
            scene.assert_reports(MX, by_tcp(move |asked| vec![denial(&asked, damage)]), &[FAILED]);
        }
        let [mx, ..] = kinds();
        let answer = move |asked: &Asked<'_>| Answer::to(asked.query, &mx.data);
        let truth = answer.clone();
        scene.assert_reports(MX, by_tcp(move |asked| vec![framed(&truth(&asked).octets())]), &ACCEPTED);
        for (what, damage) in OTHER_QUESTIONS.into_iter().chain([TWICE]) {
            println!("an answer: {what}");
            let answer = answer.clone();
            let stream = by_tcp(move |asked| vec![framed(&answer(&asked).but(damage))]);
            scene.assert_reports(MX, stream, &[FAILED]);
        }
    });
}
