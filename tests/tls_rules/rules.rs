//! Every rule of the manual page times every kind of server: the whole table.

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use world::certificates::{Authority, Content, Identity, anonymous_acceptor, failing_acceptor};
use world::smtp_sink::Options;
use world::{World, in_world};

use crate::support::*;

/// The servers, in the order of the letters of a row, and what those letters mean for them.
const SERVERS: &str = "\
    TLS not offered, refused with 454, refused with 501, handshake fails, \
    certificate good, self-signed, of another authority, expired, for another name, wildcard, for the domain above, \
    common name only, none at all";

/// The certificates of one table.
struct Bench {
    authority: Authority,
    good: Identity,
}

impl Bench {
    fn new() -> Bench {
        let authority = Authority::new("Partner authority").unwrap();
        let good = issue(&authority, &[EXCHANGER]);
        Bench { authority, good }
    }

    fn servers(&self) -> Vec<Box<dyn Fn() -> Server + '_>> {
        let plain = || Options::named(EXCHANGER);
        let refusing = move |reply: &str| {
            let options = Options { tls_refusal: Some(reply.to_owned()), ..plain() };
            Server::start(options)
        };
        let named = |name| Server::with(&issue(&self.authority, &[name]));
        vec![
            Box::new(move || Server::start(plain())),
            Box::new(move || refusing("454 4.7.0 TLS not available")),
            Box::new(move || refusing("501 5.5.4 no parameters")),
            Box::new(|| Server::with_tls(failing_acceptor().unwrap())),
            Box::new(|| Server::with(&self.good)),
            Box::new(|| Server::with(&Identity::self_signed(&[EXCHANGER]).unwrap())),
            Box::new(|| Server::with(&issue(&Authority::new("Stranger").unwrap(), &[EXCHANGER]))),
            Box::new(|| {
                let [start, end] = [0, 86_400].map(|second| Asn1Time::from_unix(second).unwrap());
                let valid = Some((&*start, &*end));
                let content = Content { names: &[EXCHANGER], valid, ..Content::default() };
                Server::with(&self.authority.issue_with(&content).unwrap())
            }),
            Box::new(move || named("mx2.example.test")),
            Box::new(move || named("*.example.test")),
            Box::new(move || named("example.test")),
            Box::new(|| Server::with(&issue_common_name(&self.authority, EXCHANGER))),
            Box::new(|| Server::with_tls(anonymous_acceptor().unwrap())),
        ]
    }

    /// Delivers by each rule to each server.
    fn check(&self, world: &World, rows: &[(String, &str)]) {
        let _dns = secure_dns();
        for (column, start) in self.servers().iter().enumerate() {
            let server = start();
            for (rule, letters) in rows {
                assert_eq!(letters.len(), SERVERS.split(", ").count(), "{rule}");
                println!("{}", SERVERS.split(", ").nth(column).unwrap());
                let outcome = deliver_by(world, rule);
                let put_off = |text: &str| server.assert_put_off(&outcome, text);
                match letters.chars().nth(column).unwrap() {
                    '-' => server.assert_accepted(&outcome, CLEAR),
                    't' => server.assert_accepted(&outcome, TLS),
                    'c' => server.assert_accepted(&outcome, CHAIN),
                    'n' => server.assert_accepted(&outcome, NAME),
                    'x' => server.assert_accepted(&outcome, EXACT_NAME),
                    'p' => server.assert_accepted(&outcome, PINNED),
                    'O' => put_off(NOT_OFFERED),
                    'H' => put_off(NO_HANDSHAKE),
                    'S' => put_off(&unverified("self-signed certificate")),
                    'I' => put_off(&unverified(UNKNOWN_ISSUER)),
                    'E' => put_off(&unverified("certificate has expired")),
                    'N' => put_off(WRONG_NAME),
                    'F' => put_off(&format!(
                        "Received X.500 certificate from: mx1.example.test for example.test does not match provided \
                         fingerprint: {}",
                        self.fingerprint()
                    )),
                    other => panic!("no letter {other}"),
                }
            }
        }
    }

    fn fingerprint(&self) -> String {
        let digest = self.good.certificate.digest(MessageDigest::sha256()).unwrap();
        digest.iter().map(|octet| format!("{octet:02X}")).collect()
    }

    fn file(&self, world: &World) -> String {
        ca_file(world, "ca.pem", &[&self.authority.identity().certificate])
    }
}

/// The same letters for several rules.
fn rows<'a>(rules: &[&str], letters: &'a str) -> Vec<(String, &'a str)> {
    rules.iter().map(|rule| ((*rule).to_owned(), letters)).collect()
}

#[test]
fn rules_that_demand_nothing_use_tls_as_offered() {
    in_world(|world| {
        let table = [
            rows(&["", "*:", "/:", "/example.test:", "example.test:|||other.test"], "---HttttttttH"),
            rows(&["?:", "?example.test:"], "----tttttttt-"),
            rows(&["-:"], "---Httttttttt"),
            rows(&["!example.test:", "!.test:"], "-------------"),
        ];
        Bench::new().check(world, &table.concat());
    });
}

#[test]
fn rules_that_demand_tls_take_any_certificate() {
    in_world(|world| {
        let bench = Bench::new();
        let unused = format!("-example.test:{}", bench.file(world));
        let table = [
            rows(&["-*:", "-example.test:", &unused, "-*:/no/such/file"], "OOOHttttttttt"),
            rows(&["/*:", "example.test:", ".test:", "example.test:;25"], "OOOHttttttttH"),
        ];
        bench.check(world, &table.concat());
    });
}

#[test]
fn an_authority_given_to_a_rule_that_demands_nothing_is_asked_where_there_is_tls() {
    in_world(|world| {
        let bench = Bench::new();
        let with_ca = |rule: &str| format!("{rule}:{}", bench.file(world));
        let rules = ["*", "/", "/example.test", "?", "?example.test"].map(with_ca);
        bench.check(world, &rows(&rules.each_ref().map(String::as_str), "---HcSIEccccH"));
    });
}

#[test]
fn rules_that_demand_a_chain_take_no_other_certificate() {
    in_world(|world| {
        let bench = Bench::new();
        let certificate = &bench.authority.identity().certificate;
        trusted_system_directory(world, &[certificate]);
        let (file, directory) = (bench.file(world), ca_directory(world, "ca", &[certificate]));
        let rules = [
            "+*:".to_owned(),
            format!("+*:{file}"),
            format!("/*:{file}"),
            format!("example.test:{file}"),
            format!("example.test:{file}|HIGH"),
            format!("example.test:{directory}||3"),
            format!("example.test:{file}||2|sender.test"),
        ];
        bench.check(world, &rows(&rules.each_ref().map(String::as_str), "OOOHcSIEccccH"));
    });
}

#[test]
fn rules_that_demand_a_name_take_no_other_certificate() {
    in_world(|world| {
        let bench = Bench::new();
        trusted_system_directory(world, &[&bench.authority.identity().certificate]);
        let file = bench.file(world);
        let any = ["~*:", &format!("~example.test:{file}"), "~.test:"];
        let exact = ["=*:", &format!("=example.test:{file}")];
        let table = [rows(&any, "OOOHnSIENnnnH"), rows(&exact, "OOOHxSIENNNxH")];
        bench.check(world, &table.concat());
    });
}

#[test]
fn a_pinned_certificate_is_the_only_one() {
    in_world(|world| {
        let bench = Bench::new();
        let rule = format!("%example.test:={}", bench.fingerprint());
        bench.check(world, &rows(&[&rule], "OOOHpFFFFFFFH"));
    });
}
