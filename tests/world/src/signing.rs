//! Zone files as name servers read them: written, signed, and spoiled where a test wants it so.

use std::fs;
use std::path::{Path, PathBuf};

use crate::programs::{command, run};
use crate::zones::{Altered, Denial, Kind, Zone};

/// The start of every zone file.
const HEAD: &str = "$TTL 300\n@ SOA ns. hostmaster. 1 3600 600 86400 60\n@ NS ns.\n";
/// The options of ldns-signzone for signatures of the past.
const LONG_AGO: [&str; 4] = ["-i", "20200101", "-e", "20200201"];

/// Writes one zone into `directory`; returns its file and the DS records for its parent. The key of the root goes to
/// `root_key`.
pub(crate) fn publish(zone: &Zone, directory: &Path, root_key: &Path) -> (PathBuf, String) {
    let origin = zone.origin();
    let name = if zone.name.is_empty() { "root" } else { &zone.name };
    let file = directory.join(format!("{name}.zone"));
    fs::write(&file, format!("$ORIGIN {origin}\n{HEAD}{}\n", zone.text)).expect("zone file");
    let options: &[&str] = match &zone.kind {
        Kind::Insecure | Kind::Silent => return (file, String::new()),
        Kind::Signed(Denial::Nsec3) => &["-n"],
        Kind::Signed(Denial::OptOut) => &["-n", "-p"],
        Kind::Expired => &LONG_AGO,
        Kind::Signed(Denial::Nsec) | Kind::Bogus(_) | Kind::Stripped => &[],
    };
    let key = Key::new(&origin, directory);
    if let Kind::Stripped = zone.kind {
        return (file, key.read("ds"));
    }
    let signed = directory.join(format!("{name}.signed"));
    let mut sign = command("ldns-signzone");
    sign.current_dir(directory).args(options).arg("-f").arg(&signed).args(["-o", &origin]);
    run(sign.arg(&file).arg(&key.name));
    if let Kind::Bogus(altered) = &zone.kind {
        let text = fs::read_to_string(&signed).expect("signed zone");
        fs::write(&signed, alter_signatures(&text, altered)).expect("signed zone");
    }
    if zone.name.is_empty() {
        fs::write(root_key, key.read("key")).expect("key of the root");
    }
    (signed, key.read("ds"))
}

/// The key of one zone, in files.
struct Key<'a> {
    directory: &'a Path,
    name: String,
}

impl Key<'_> {
    fn new<'a>(origin: &str, directory: &'a Path) -> Key<'a> {
        let mut keygen = command("ldns-keygen");
        keygen.current_dir(directory).args(["-k", "-a", "ECDSAP256SHA256", "-r", "/dev/urandom", origin]);
        let name = String::from_utf8(run(&mut keygen)).expect("name of a key");
        Key { directory, name: name.trim().to_owned() }
    }

    /// The file `part`: `key`, or `ds`.
    fn read(&self, part: &str) -> String {
        let file = self.directory.join(format!("{}.{part}", self.name));
        fs::read_to_string(file).expect("part of a key")
    }
}

/// Spoils the signatures of the record sets meant: a validator cannot tell an altered signature from
/// altered data.
fn alter_signatures(zone: &str, altered: &Altered) -> String {
    let mut count = 0;
    let mut alter = |line: &str| {
        // owner, TTL, class, type; covered type, seven more fields, signature.
        let mut fields: Vec<&str> = line.split_whitespace().collect();
        let [owner, _, _, "RRSIG", covered, ..] = fields[..] else { return line.to_owned() };
        let meant = match altered {
            Altered::All => covered != "DNSKEY",
            Altered::These(records) => {
                let owner = owner.trim_end_matches('.').to_lowercase();
                records.iter().any(|(name, kind)| *name == owner && kind == covered)
            }
        };
        if !meant {
            return line.to_owned();
        }
        count += 1;
        let signature = fields.pop().expect("an RRSIG has a signature");
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        format!("{} {first}{}", fields.join(" "), &signature[1..])
    };
    let text = zone.lines().map(|line| alter(line) + "\n").collect();
    let expected = match altered {
        Altered::All => 1,
        Altered::These(records) => records.len(),
    };
    assert!(count >= expected, "only {count} of the record sets to be made bogus exist");
    text
}
