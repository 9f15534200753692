//! `domaincerts`: which client certificate. None of the files is there: the report names the one that was selected.

use world::in_world;

use crate::network::Network;
use crate::outcome::{at, malformed, put_off};
use crate::row::{check, check_row};

#[test]
fn the_senders_domain_decides() {
    in_world(|world| {
        let mut network = Network::start(world);
        let certificates = "*:/star.pem\n.test:/suffix.pem||secret\n.Sender.Test:/sub.pem|/sub.key\n\
                            sender.test:/first.pem\nSENDER.test:/whole.pem|/whole.key|secret\n:/empty.pem\n";
        for (sender, line, files) in [
            ("a@sender.test", "domaincerts:5", "/whole.pem, key in /whole.key"),
            ("a@Sender.Test", "domaincerts:5", "/whole.pem, key in /whole.key"),
            ("a@x.sender.test", "domaincerts:3", "/sub.pem, key in /sub.key"),
            ("a@other.test", "domaincerts:2", "/suffix.pem, key in /suffix.pem"),
            ("a@sender.org", "domaincerts:1", "/star.pem, key in /star.pem"),
            ("", "domaincerts:1", "/star.pem, key in /star.pem"),
        ] {
            let file = files.split(',').next().unwrap();
            let outcome = put_off(&format!("Can't load X.509 certificate: {file}. (#4.4.1)"));
            let row = ("example.test", sender, outcome, &*format!("certificate {line}"));
            let explanation = check_row(world, &mut network, &[("domaincerts", certificates)], &row);
            assert_eq!(explanation.value("certificate"), files);
        }
    });
}

#[test]
fn only_what_is_selected_matters() {
    in_world(|world| {
        let mut network = Network::start(world);
        // The empty key means nothing here.
        let certificates = ":/empty.pem\nother.test:|/key\n";
        let bad = malformed("domaincerts:2", "there is no certificate");
        let rows = [
            ("example.test", "a@sender.test", at("192.0.2.10:25"), ""),
            ("example.test", "", at("192.0.2.10:25"), ""),
            ("example.test", "a@other.test", bad, "nothing"),
        ];
        check(world, &mut network, &[("domaincerts", certificates)], &rows);
        let outcome = put_off("Can't load X.509 certificate: (not a path). (#4.4.1)");
        let row = ("example.test", "", outcome, "certificate domaincerts:1");
        let explanation = check_row(world, &mut network, &[("domaincerts", "*:secret|/key\n")], &row);
        assert_eq!(explanation.value("certificate"), "(not a path), key in /key");
    });
}
