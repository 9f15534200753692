//! AUTH with real servers: Postfix with Cyrus SASL, all three mechanisms, right and wrong passwords, in clear and under
//! TLS.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    reason = "test support: a failed step must stop the test with its cause"
)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod held;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use held::{PROGRAM, addressed};
use world::programs::{command, run_with_input};
use world::{Delivery, Identity, Mailbox, Outcome, Postfix, World, certificates, in_world};

const USER: &str = "alice@mx1.example.test";
const PASSWORD: &str = "p|w:\u{fc} x";

/// How the server offers AUTH.
enum Offer {
    /// In clear.
    Always,
    /// Under TLS alone.
    InsideTls,
}

/// A Postfix on port 25 that takes mail of those whom it knows, with these mechanisms.
fn server(world: &World, mechanisms: &str, offer: &Offer) -> Mailbox {
    server_for(world, mechanisms, offer, USER, PASSWORD)
}

fn server_for(world: &World, mechanisms: &str, offer: &Offer, user: &str, password: &str) -> Mailbox {
    world.postfix(offering(world, mechanisms, offer, user, password))
}

/// The same, not started yet.
fn offering(world: &World, mechanisms: &str, offer: &Offer, user: &str, password: &str) -> Postfix {
    let directory = world.scratch();
    let users = directory.join("sasldb2");
    let (name, realm) = user.rsplit_once('@').unwrap();
    let mut add = command("saslpasswd2");
    add.args(["-p", "-c", "-u", realm, "-f"]).arg(&users).arg(name);
    run_with_input(&mut add, password.as_bytes());
    fs::set_permissions(&users, fs::Permissions::from_mode(0o644)).unwrap();
    let configuration = format!(
        "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {}\nmech_list: {mechanisms}\n",
        users.display()
    );
    let certificate = certificates::Identity::self_signed(&["mx1.example.test"]).unwrap();
    let files = certificate.write(&directory, "mx1").unwrap();
    let inside = if matches!(offer, Offer::InsideTls) { "yes" } else { "no" };
    Postfix::on("192.0.2.10")
        .tls(files.certificate, files.key)
        .sasl(&configuration)
        .setting("smtpd_sasl_security_options", "noanonymous")
        .setting("smtpd_sasl_authenticated_header", "yes")
        .setting("smtpd_tls_auth_only", inside)
        .setting("smtpd_client_restrictions", "permit_sasl_authenticated, reject")
}

fn deliver(world: &World, route: &str, rule: &str) -> Outcome {
    world.control("me", "client.example.test\n");
    world.control("authsenders", format!("@sender.test:{route}\n"));
    world.control("tlsdestinations", rule);
    addressed(Delivery::new(PROGRAM)).identity(Identity::Qmailr).run()
}

/// The message came from `USER`, by this way.
fn assert_came_by(server: &Mailbox, outcome: &Outcome, way: &str) {
    let reports = String::from_utf8(outcome.reports().concat()).unwrap();
    assert!(reports.starts_with("rK"), "{reports}");
    let message = fs::read_to_string(server.wait_for_message()).unwrap();
    assert!(message.contains("(Authenticated sender: alice@mx1.example.test)"), "{message}");
    server.assert_logs(&format!("sasl_method={way}"));
}

/// A long password too, and a wrong one is put off with this in the report.
fn each_way(way: &'static str, what: &'static str) {
    in_world(move |world| {
        let password = format!("{PASSWORD}{}", "0123456789abcdef".repeat(63));
        let server = server_for(world, way, &Offer::InsideTls, USER, &password);
        let outcome = deliver(world, &format!("192.0.2.10|{USER}|{password}"), "");
        assert_came_by(&server, &outcome, way);
        let outcome = deliver(world, &format!("192.0.2.10|{USER}|wrong"), "");
        let reports = String::from_utf8(outcome.stdout.clone()).unwrap();
        let start = format!(
            "ZConnected to 192.0.2.10 but authentication was rejected ({what}).\nRemote host said: 535 5.7.8 "
        );
        assert!(reports.starts_with(&start) && reports.matches('\0').count() == 1, "{reports}");
    });
}

#[test]
fn a_real_server_takes_the_digest_of_the_right_password_alone() {
    each_way("CRAM-MD5", "username+digest");
}

#[test]
fn a_real_server_takes_the_right_password_by_login_alone() {
    each_way("LOGIN", "login");
}

#[test]
fn a_real_server_takes_the_right_password_by_plain_alone() {
    each_way("PLAIN", "plain");
}

#[test]
fn the_digest_is_preferred_and_goes_in_clear() {
    in_world(|world| {
        let server = server(world, "PLAIN LOGIN CRAM-MD5", &Offer::Always);
        let outcome = deliver(world, &format!("192.0.2.10|{USER}|{PASSWORD}"), "!192.0.2.10:\n");
        assert_came_by(&server, &outcome, "CRAM-MD5");
    });
}

/// What a server does not know under the name that it has offered, it refuses as a command.
#[test]
fn a_mechanism_that_a_real_server_refuses_is_followed_by_the_next() {
    in_world(|world| {
        let refusing = [(2501, "CRAM-MD5"), (2502, "CRAM-MD5|LOGIN"), (2503, "CRAM-MD5|LOGIN|PLAIN")];
        let postfix = offering(world, "PLAIN LOGIN CRAM-MD5", &Offer::InsideTls, USER, PASSWORD);
        let postfix = refusing.into_iter().fold(postfix, |postfix, (port, mechanisms)| {
            let filter = format!("/^AUTH ({mechanisms})$/ AUTH NONE-SUCH\n");
            let filter = world.file(&format!("filter-{port}"), filter);
            postfix.port(port, &[&format!("smtpd_command_filter=regexp:{}", filter.display())])
        });
        let server = world.postfix(postfix);
        let by = |port: &str| deliver(world, &format!("192.0.2.10;{port}|{USER}|{PASSWORD}"), "");
        assert_came_by(&server, &by("2501"), "LOGIN");
        assert_came_by(&server, &by("2502"), "PLAIN");
        let report = "ZConnected to 192.0.2.10 but authentication was rejected (AUTH PLAIN).\n";
        let said = "Remote host said: 535 5.7.8 Error: authentication failed: no mechanism available\n";
        by("2503").assert_reports(&[format!("{report}{said}")]);
    });
}

#[test]
fn a_password_goes_in_clear_where_the_administrator_says() {
    in_world(|world| {
        let server = server(world, "PLAIN", &Offer::Always);
        let route = format!("192.0.2.10|{USER}|{PASSWORD}");
        let refused = deliver(world, &route, "!192.0.2.10:\n");
        let reports = String::from_utf8(refused.stdout.clone()).unwrap();
        let line = "\nno supported AUTH method found, continuing without authentication.\nRemote host said: 554 5.7.1";
        assert!(
            reports.starts_with('s') && reports.contains("\0ZGiving up") && reports.contains(line),
            "{reports}"
        );
        assert!(server.messages().is_empty());
        world.control("authplaintext", "1\n");
        assert_came_by(&server, &deliver(world, &route, "!192.0.2.10:\n"), "PLAIN");
    });
}
