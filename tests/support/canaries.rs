//! Planted values that nobody else would write, and a search that knows them in every form in which they may come out.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Which canaries one output may show, by the ending of their names, and why.
pub(crate) type May<'a> = Option<(&'a str, &'a str)>;

/// A needle shorter than this would be found by chance.
const SHORTEST: usize = 8;
/// Bytes by which a needle is looked up.
const START: usize = 4;

/// Everything that was planted.
#[derive(Default)]
pub(crate) struct Canaries {
    /// What each is: `customer 3: phone`.
    names: Vec<String>,
    /// Values that were given out, so that none is given twice.
    planted: u64,
    needles: HashMap<[u8; START], Vec<Needle>>,
}

struct Needle {
    canary: usize,
    form: &'static str,
    bytes: Vec<u8>,
}

/// A canary that was found. It is told by its name and form, never by its value: this is printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) form: &'static str,
}

impl Canaries {
    /// Where bytes hold a canary, each with its form once. Letters are compared whatever their case.
    pub(crate) fn find(&self, bytes: &[u8]) -> Vec<Found> {
        let folded = bytes.to_ascii_lowercase();
        let mut found = std::collections::BTreeSet::new();
        for (at, start) in folded.windows(START).enumerate() {
            let Some(needles) = self.needles.get(start) else { continue };
            for needle in needles.iter().filter(|needle| folded[at..].starts_with(&needle.bytes)) {
                found.insert(Found { name: self.names[needle.canary].clone(), form: needle.form });
            }
        }
        found.into_iter().collect()
    }

    /// Plants a text by what marks it: each of these alone betrays it.
    pub(crate) fn plant(&mut self, name: &str, marks: &[&str]) {
        let canary = self.names.len();
        self.names.push(name.into());
        for mark in marks {
            for text in [mark.to_lowercase(), mark.to_uppercase(), (*mark).to_string()] {
                for (form, bytes) in forms(&text) {
                    self.add(canary, form, &bytes);
                }
            }
        }
    }

    fn add(&mut self, canary: usize, form: &'static str, bytes: &[u8]) {
        let bytes = bytes.to_ascii_lowercase();
        assert!(bytes.len() >= SHORTEST, "{} as {form} would be found by chance", self.names[canary]);
        let start = bytes[..START].try_into().unwrap();
        let needles: &mut Vec<Needle> = self.needles.entry(start).or_default();
        if !needles.iter().any(|one| one.canary == canary && one.bytes == bytes) {
            needles.push(Needle { canary, form, bytes });
        }
    }

    /// A number that looks random, the same in each run of the tests.
    fn dice(&mut self) -> u64 {
        self.planted += 1;
        let mut mixed = self.planted.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Ten letters of a word that nobody knows; none of them is a digit of a hexadecimal number.
    fn word(&mut self) -> String {
        self.letters("ghjklmnpqrstvwxz")
    }

    /// Ten of these letters.
    fn letters(&mut self, of: &str) -> String {
        let (dice, of): (u64, Vec<char>) = (self.dice(), of.chars().collect());
        let place = |step: u32| usize::try_from((dice >> (4 * step)) & 15).unwrap();
        (0..10).map(|step| of[place(step) % of.len()]).collect()
    }

    /// An address in mixed case with a tag: its local part and its domain each betray it.
    pub(crate) fn email(&mut self, name: &str) -> String {
        let (local, domain) = (self.word(), self.word());
        let written = local[..1].to_uppercase() + &local[1..];
        self.plant(name, &[&written, &domain]);
        format!("J.{written}+Nieuws@{domain}.Example")
    }

    /// A name of which every letter that marks it stands outside ASCII.
    pub(crate) fn person(&mut self, name: &str) -> String {
        let mark = self.letters("äëïöüáéíóúñçøåèò");
        self.plant(name, &[&mark]);
        format!("Zo{mark} de Vries")
    }

    /// A telephone number as people write it; also known by its digits, abroad and at home.
    pub(crate) fn phone(&mut self, name: &str) -> String {
        let digits = format!("6{:09}", self.dice() % 1_000_000_000);
        let written = format!("+31 {} {} {} {}", &digits[..1], &digits[1..4], &digits[4..7], &digits[7..]);
        self.plant(name, &[&written, &digits]);
        written
    }

    /// A bank account in groups of four; also known without its blanks.
    pub(crate) fn iban(&mut self, name: &str) -> String {
        let digits = format!("{:010}", self.dice() % 10_000_000_000);
        let written = format!("NL91 BWRD {} {} {}", &digits[..4], &digits[4..8], &digits[8..]);
        self.plant(name, &[&written, &written.replace(' ', ""), &digits]);
        written
    }

    /// A number like that of a citizen.
    pub(crate) fn citizen(&mut self, name: &str) -> String {
        let digits = format!("{:09}", 100_000_000 + self.dice() % 900_000_000);
        self.plant(name, &[&digits]);
        digits
    }

    /// A whole number that is a key: also as the bytes that a computer keeps it in.
    pub(crate) fn number(&mut self, name: &str) -> i64 {
        let number = i64::try_from(1_000_000_000 + self.dice() % 1_000_000_000).unwrap();
        self.plant(name, &[&number.to_string()]);
        let canary = self.names.len() - 1;
        for bytes in [number.to_be_bytes(), number.to_le_bytes()] {
            self.add(canary, "bytes of a number", &bytes);
            self.add(canary, "hexadecimal bytes of a number", hex::encode(bytes).as_bytes());
        }
        number
    }

    /// The number of an order, a customer, a file.
    pub(crate) fn code(&mut self, name: &str) -> String {
        let word = self.word();
        self.plant(name, &[&word]);
        format!("ORD-{}", word.to_uppercase())
    }

    /// A remark with quotes, a tab and an end of line.
    pub(crate) fn remark(&mut self, name: &str) -> String {
        let word = self.word();
        self.plant(name, &[&word]);
        format!("belde \"{word}\"\tover;\n<b>{word}</b>")
    }
}

/// Every form in which a text may come out. Of what is put three bytes at a time, only the part that its neighbours do
/// not change.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut out = vec![
        ("plain", text.as_bytes().to_vec()),
        ("hexadecimal", hex::encode(text).into_bytes()),
        ("UTF-16, little end first", text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("UTF-16, big end first", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        ("percent-encoded", percent(text, "").into_bytes()),
        ("percent-encoded", percent(text, "-._~").into_bytes()),
        ("percent-encoded", percent(text, "-._~ @+:/").into_bytes()),
        ("percent-encoded, as forms are", percent(text, "-._~ ").replace(' ', "+").into_bytes()),
        ("quoted-printable", percent(text, " -._~@+:/").replace('%', "=").into_bytes()),
        ("JSON-escaped", escaped(text, |unit| format!("\\u{unit:04x}")).into_bytes()),
        ("escaped as Rust does", text.escape_unicode().to_string().into_bytes()),
        ("escaped as Rust does", text.escape_default().to_string().into_bytes()),
    ];
    out.extend(latin(text).map(|bytes| ("Latin-1", bytes)));
    for (form, alphabet) in [("base64", &STANDARD_NO_PAD), ("base64 for addresses", &URL_SAFE_NO_PAD)] {
        for before in 0..3 {
            let whole = [&vec![0; before], text.as_bytes()].concat();
            let encoded = alphabet.encode(&whole);
            // The first letters hold bits of what stands before, the last may hold bits of what comes after.
            let (from, upto) = ((before * 8).div_ceil(6), whole.len() * 8 / 6);
            out.push((form, encoded.as_bytes()[from..upto].to_vec()));
        }
    }
    out
}

/// A byte for each letter, where there is one for each.
fn latin(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|letter| u8::try_from(letter).ok()).collect()
}

fn percent(text: &str, stay: &str) -> String {
    let one = |byte: u8| {
        let plain = byte.is_ascii_alphanumeric() || stay.as_bytes().contains(&byte);
        if plain { char::from(byte).to_string() } else { format!("%{byte:02x}") }
    };
    text.bytes().map(one).collect()
}

fn escaped(text: &str, unit: impl Fn(u16) -> String) -> String {
    let one = |letter: char| {
        if letter.is_ascii() {
            return letter.to_string();
        }
        letter.encode_utf16(&mut [0; 2]).iter().map(|one| unit(*one)).collect()
    };
    text.chars().map(one).collect()
}

#[test]
fn a_planted_value_is_found_in_every_form_and_nothing_else_is() {
    let mut canaries = Canaries::default();
    let (email, person) = (canaries.email("the e-mail"), canaries.person("the person"));
    let (phone, iban) = (canaries.phone("the phone"), canaries.iban("the account"));
    let (citizen, code) = (canaries.citizen("the citizen"), canaries.code("the order"));
    let remark = canaries.remark("the remark");
    let number = canaries.number("the key");
    let texts = [
        ("the e-mail", email),
        ("the person", person),
        ("the phone", phone),
        ("the account", iban),
        ("the citizen", citizen),
        ("the order", code),
        ("the remark", remark),
        ("the key", number.to_string()),
    ];
    for (name, text) in texts {
        let mut seen = Vec::new();
        for before in ["", "x", "xy", "xyz"] {
            let whole = format!("{before}{text} and what follows");
            let json = serde_json::to_string(&whole).unwrap();
            seen.extend([
                ("plain", whole.clone().into_bytes()),
                ("in JSON", json.clone().into_bytes()),
                ("in JSON without letters outside ASCII", escaped(&json, |unit| format!("\\u{unit:04X}")).into_bytes()),
                ("as a program prints it for its makers", format!("{whole:?}").into_bytes()),
                ("the same, escaped", whole.escape_default().to_string().into_bytes()),
                ("upper case", whole.to_uppercase().into_bytes()),
                ("lower case", whole.to_lowercase().into_bytes()),
                ("hexadecimal", hex::encode_upper(&whole).into_bytes()),
                ("Latin-1", latin(&whole).unwrap()),
                ("hexadecimal of JSON", hex::encode(&json).into_bytes()),
                ("base64", STANDARD_NO_PAD.encode(&whole).into_bytes()),
                ("base64 for addresses", URL_SAFE_NO_PAD.encode(&whole).into_bytes()),
                ("UTF-16", whole.encode_utf16().flat_map(u16::to_le_bytes).collect()),
                ("UTF-16, the other way round", whole.encode_utf16().flat_map(u16::to_be_bytes).collect()),
                ("in an address", percent(&whole, "-._~").into_bytes()),
                ("in a form", percent(&whole, "-._~ ").replace(' ', "+").into_bytes()),
                ("in the middle of bytes", [&[0, 255, 7], whole.as_bytes(), &[0, 254]].concat()),
            ]);
        }
        for (form, bytes) in seen {
            assert!(canaries.find(&bytes).iter().any(|found| found.name == name), "{name} {form}");
        }
    }
    for bytes in [number.to_be_bytes(), number.to_le_bytes()] {
        assert!(!canaries.find(&[&[1, 2, 3], &bytes[..]].concat()).is_empty());
        assert!(!canaries.find(hex::encode_upper(bytes).as_bytes()).is_empty());
    }
    let innocent = include_str!("canaries.rs").to_string() + &hex::encode(include_bytes!("canaries.rs"));
    assert_eq!(canaries.find(innocent.as_bytes()), []);
    assert_eq!(canaries.find(STANDARD_NO_PAD.encode(innocent).as_bytes()), []);
}
