//! Answers of the DNS, octet by octet (RFC 1035 section 4.1), so that each can be damaged anywhere.

/// A response to a question, with recursion available and DNSSEC satisfied.
pub(crate) const FLAGS: u16 = 0x81a0;
/// In [`FLAGS`]: the name does not exist.
pub(crate) const NO_SUCH_NAME: u16 = 3;
/// In [`FLAGS`]: the answer did not fit the datagram.
pub(crate) const TRUNCATED: u16 = 0x0200;
/// In [`FLAGS`]: of an UPDATE.
pub(crate) const UPDATE: u16 = 5 << 11;

/// The length of a header.
const HEADER: usize = 12;

/// The one answer to a question, before it is damaged.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    /// Of questions, answers, authorities, additional records.
    pub(crate) counts: [u16; 4],
    /// Name, type and class.
    pub(crate) question: Vec<u8>,
    pub(crate) record: Record,
    /// What follows the record.
    pub(crate) rest: Vec<u8>,
}

/// A record of the answer.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: [u8; 2],
    pub(crate) class: u16,
    /// None: that of the data.
    pub(crate) length: Option<u16>,
    pub(crate) data: Vec<u8>,
}

/// A pointer to this offset (RFC 1035 section 4.1.4).
pub(crate) fn pointer(offset: usize) -> Vec<u8> {
    u16::try_from(0xc000 | offset).expect("an offset").to_be_bytes().to_vec()
}

/// A name of labels.
pub(crate) fn name(text: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).expect("a label")], label.as_bytes()].concat();
    text.split('.').flat_map(label).chain([0]).collect()
}

impl Answer {
    /// To this question: a record of its name and type, with this data.
    pub(crate) fn to(query: &[u8], data: &[u8]) -> Answer {
        let mut end = HEADER;
        while query[end] != 0 {
            end += usize::from(query[end]) + 1;
        }
        let question = query[HEADER..end + 5].to_vec();
        let kind = [query[end + 1], query[end + 2]];
        let record = Record { name: pointer(HEADER), kind, class: 1, length: None, data: data.to_vec() };
        let id = u16::from_be_bytes([query[0], query[1]]);
        let counts = [1, 1, 0, 0];
        Answer { id, flags: FLAGS, counts, question, record, rest: Vec::new() }
    }

    /// So, and damaged.
    pub(crate) fn but(mut self, damage: impl FnOnce(&mut Answer)) -> Vec<u8> {
        damage(&mut self);
        self.octets()
    }

    /// The name that was asked for does not exist.
    pub(crate) fn denial(mut self) -> Answer {
        self.flags |= NO_SUCH_NAME;
        self.counts[1] = 0;
        self.record = Record { name: Vec::new(), data: Vec::new(), ..self.record };
        self
    }

    /// Where the record begins.
    pub(crate) fn start(&self) -> usize {
        HEADER + self.question.len()
    }

    /// Where the record's data begin.
    pub(crate) fn data_start(&self) -> usize {
        self.start() + self.record.name.len() + 10
    }

    /// The message.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let head = [[self.id, self.flags].as_slice(), &self.counts].concat();
        let mut octets: Vec<u8> = head.into_iter().flat_map(u16::to_be_bytes).collect();
        octets.extend(&self.question);
        if !self.record.name.is_empty() {
            octets.extend(self.record.octets());
        }
        octets.extend(&self.rest);
        octets
    }
}

impl Record {
    /// As it stands in a message.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let of_data = u16::try_from(self.data.len()).expect("a record's data");
        let length = self.length.unwrap_or(of_data).to_be_bytes();
        [&*self.name, &self.kind, &self.class.to_be_bytes(), &[0, 0, 1, 44], &length, &*self.data].concat()
    }
}
