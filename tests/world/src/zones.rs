//! A small DNS from the root down, signed with keys of its own: what the zones hold, who is whose
//! parent, and the files that a name server and a validating resolver read.

use std::fs;
use std::path::{Path, PathBuf};

use crate::programs::{command, run};

/// Where the name server of all zones is.
pub(crate) const NAME_SERVER: &str = "127.0.0.2";

/// The start of every zone file.
const HEAD: &str = "$TTL 300\n@ SOA ns. hostmaster. 1 3600 600 86400 60\n@ NS ns.\n";

/// The zones of a test. The root, and the top-level domains of the zones given, come by themselves;
/// both are signed.
///
/// The text of a zone is in the usual format; names are relative to the zone, SOA and NS are there.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    zones: Vec<Zone>,
    pub(crate) unbound_options: Vec<String>,
}

#[derive(Clone, Debug)]
struct Zone {
    /// Without the dot at the end; empty for the root.
    name: String,
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Insecure,
    Signed,
    /// Signed; then the signatures of these record sets were altered.
    Bogus(Altered),
}

#[derive(Clone, Debug)]
enum Altered {
    /// All of the zone but its keys: denials too.
    All,
    /// Owner, as an absolute name without the last dot, and type.
    These(Vec<(String, String)>),
}

impl Zones {
    /// No zones yet.
    #[must_use]
    pub fn new() -> Zones {
        Zones::default()
    }

    /// A signed zone.
    #[must_use]
    pub fn signed(self, name: &str, text: &str) -> Zones {
        self.with(name, text, Kind::Signed)
    }

    /// A zone without signatures, securely delegated as such.
    #[must_use]
    pub fn insecure(self, name: &str, text: &str) -> Zones {
        self.with(name, text, Kind::Insecure)
    }

    /// A zone in which no answer, nor any denial, validates.
    #[must_use]
    pub fn bogus(self, name: &str, text: &str) -> Zones {
        self.with(name, text, Kind::Bogus(Altered::All))
    }

    /// A signed zone in which only these record sets do not validate: owner (relative to the zone, or
    /// `@`) and type, as `("_25._tcp.mx1", "TLSA")`. `NSEC` makes denials bogus at the owner.
    #[must_use]
    pub fn bogus_at(self, name: &str, text: &str, records: &[(&str, &str)]) -> Zones {
        let absolute = |owner: &str| match owner {
            "@" => name.to_lowercase(),
            _ => format!("{owner}.{name}").to_lowercase(),
        };
        let records = records.iter().map(|(owner, kind)| (absolute(owner), (*kind).to_owned())).collect();
        self.with(name, text, Kind::Bogus(Altered::These(records)))
    }

    /// One more line of unbound's `server:` section, as `"val-permissive-mode: yes"`.
    #[must_use]
    pub fn unbound_option(mut self, line: &str) -> Zones {
        self.unbound_options.push(line.to_owned());
        self
    }

    fn with(mut self, name: &str, text: &str, kind: Kind) -> Zones {
        let name = name.trim_end_matches('.').to_lowercase();
        assert!(self.zones.iter().all(|zone| zone.name != name), "zone {name:?} is given twice");
        self.zones.push(Zone { name, text: text.to_owned(), kind });
        self
    }

    /// Writes all zone files, signed where they are to be, and the keys into `directory`.
    pub(crate) fn publish(&self, directory: &Path) -> Published {
        let mut zones = self.complete();
        let mut published = Published { files: Vec::new(), trust_anchor: directory.join("root.key") };
        // Children first: their parents' files hold their delegations.
        zones.sort_by_key(|zone| labels(&zone.name));
        while let Some(zone) = zones.pop() {
            let (file, ds) = publish(&zone, directory, &published.trust_anchor);
            let name = absolute(&zone.name);
            if let Some(parent) = zones.iter_mut().rev().find(|other| zone.is_below(other)) {
                parent.text.push_str(&format!("\n{name} NS ns.\n{ds}\n"));
            }
            published.files.push((name, file));
        }
        published
    }

    /// The zones with the root and the top-level domains.
    fn complete(&self) -> Vec<Zone> {
        let mut zones = self.zones.clone();
        let tops = self.zones.iter().filter_map(|zone| zone.name.rsplit('.').next());
        for name in tops.chain([""]) {
            if zones.iter().all(|zone| zone.name != name) {
                zones.push(Zone { name: name.to_owned(), text: String::new(), kind: Kind::Signed });
            }
        }
        let root = zones.iter_mut().find(|zone| zone.name.is_empty()).expect("the root is there");
        root.text.push_str(&format!("\nns. A {NAME_SERVER}\n"));
        zones
    }
}

/// The files that the servers read.
pub(crate) struct Published {
    /// Absolute zone name, and file.
    pub(crate) files: Vec<(String, PathBuf)>,
    /// The DNSKEY of the root.
    pub(crate) trust_anchor: PathBuf,
}

fn labels(name: &str) -> usize {
    name.split('.').filter(|label| !label.is_empty()).count()
}

fn absolute(name: &str) -> String {
    format!("{name}.")
}

impl Zone {
    fn is_below(&self, other: &Zone) -> bool {
        let rest = self.name.strip_suffix(&other.name);
        rest.is_some_and(|rest| !rest.is_empty() && (other.name.is_empty() || rest.ends_with('.')))
    }
}

/// Writes one zone; returns its file and the DS records for its parent.
fn publish(zone: &Zone, directory: &Path, root_key: &Path) -> (PathBuf, String) {
    let origin = absolute(&zone.name);
    let name = if zone.name.is_empty() { "root" } else { &zone.name };
    let file = directory.join(format!("{name}.zone"));
    fs::write(&file, format!("$ORIGIN {origin}\n{HEAD}{}\n", zone.text)).expect("zone file");
    let altered = match &zone.kind {
        Kind::Insecure => return (file, String::new()),
        Kind::Signed => None,
        Kind::Bogus(altered) => Some(altered),
    };
    let mut keygen = command("ldns-keygen");
    keygen.current_dir(directory).args(["-k", "-a", "ECDSAP256SHA256", "-r", "/dev/urandom", &origin]);
    let key = String::from_utf8(run(&mut keygen)).expect("name of a key");
    let key = key.trim();
    let of_key = |part: &str| directory.join(format!("{key}.{part}"));
    let signed = directory.join(format!("{name}.signed"));
    run(command("ldns-signzone")
        .current_dir(directory)
        .arg("-f")
        .arg(&signed)
        .args(["-o", &origin])
        .arg(&file)
        .arg(key));
    if let Some(altered) = altered {
        let text = fs::read_to_string(&signed).expect("signed zone");
        fs::write(&signed, alter_signatures(&text, altered)).expect("signed zone");
    }
    if zone.name.is_empty() {
        fs::copy(of_key("key"), root_key).expect("key of the root");
    }
    (signed, fs::read_to_string(of_key("ds")).expect("DS of a key"))
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
