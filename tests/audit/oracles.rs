//! Programs and libraries that are not ours say the same.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bewaard::audit::export::export;
use bewaard::audit::note::Checkpoint;
use bewaard::audit::prove::{Proof, prove, prove_growth};
use bewaard::audit::tile::{Kind, Tile};
use bewaard::audit::{read, tree};
use bewaard::domain::digest::Digest;
use tlog_tiles::{Hash, HashReader};

use super::support::{KEY, ORIGIN, Place, batch, filled, signer, time};

/// The reference's own storage of hashes.
struct Stored(RefCell<Vec<Hash>>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::tlog::Error> {
        let stored = self.0.borrow();
        Ok(indexes.iter().map(|index| stored[usize::try_from(*index).unwrap()]).collect())
    }
}

fn reference(lines: &[String]) -> Stored {
    let stored = Stored(RefCell::new(Vec::new()));
    for (n, line) in (0..).zip(lines) {
        let more = tlog_tiles::stored_hashes(n, line.as_bytes(), &stored).unwrap();
        stored.0.borrow_mut().extend(more);
    }
    stored
}

fn lines(folder: &Path) -> Vec<String> {
    read::entries(folder, 0).unwrap().map(|entry| entry.unwrap().2).collect()
}

#[test]
fn an_independent_library_gives_the_same_roots_tiles_and_proofs() {
    let place = filled(7, 100);
    let lines = lines(&place.folder());
    let stored = reference(&lines);
    let size = lines.len() as u64;
    let head = place.open().head().clone();
    assert_eq!(tlog_tiles::tree_hash(size, &stored).unwrap().0, head.checkpoint.root.0);
    for tile in tlog_tiles::tile::Tile::new_tiles(8, 0, size) {
        // The library names the height, which is always 8 in C2SP tlog-tiles and not in its paths.
        let path = tile.path().replacen("tile/8/", "tile/", 1);
        let ours = fs::read(place.folder().join(path)).unwrap();
        assert_eq!(ours, tile.read_data(&stored).unwrap(), "{}", tile.path());
    }
    for index in [0, 1, 255, 256, 400, size - 1] {
        let line = &lines[usize::try_from(index).unwrap()];
        let proof = prove(&place.folder(), index, line.as_bytes()).unwrap();
        let theirs = tlog_tiles::prove_record(size, index, &stored).unwrap();
        assert_eq!(
            proof.hashes.iter().map(|hash| hash.0).collect::<Vec<_>>(),
            theirs.iter().map(|hash| hash.0).collect::<Vec<_>>()
        );
        let ours: Vec<Hash> = proof.hashes.iter().map(|hash| Hash(hash.0)).collect();
        let leaf = tlog_tiles::record_hash(line.as_bytes());
        tlog_tiles::check_record(&ours, size, Hash(head.checkpoint.root.0), index, leaf).unwrap();
    }
    for old in [1, 2, 255, 256, 257, 600, size - 1] {
        let root = Digest(tlog_tiles::tree_hash(old, &stored).unwrap().0);
        let old = Checkpoint { origin: ORIGIN.into(), size: old, root };
        let proof = prove_growth(&place.folder(), &old, &head.checkpoint).unwrap();
        let theirs = tlog_tiles::prove_tree(size, old.size, &stored).unwrap();
        assert_eq!(
            proof.iter().map(|hash| hash.0).collect::<Vec<_>>(),
            theirs.iter().map(|hash| hash.0).collect::<Vec<_>>()
        );
    }
    for place_in_log in 0..=size / 256 {
        let tile = Tile::of_tree(Kind::Entries, place_in_log, size).unwrap();
        let mut expected = Vec::new();
        for line in lines.iter().skip(usize::try_from(place_in_log * 256).unwrap()).take(256) {
            expected.extend(u16::try_from(line.len()).unwrap().to_be_bytes());
            expected.extend(line.as_bytes());
        }
        assert_eq!(fs::read(place.folder().join(tile.path())).unwrap(), expected);
    }
}

#[test]
fn an_independent_library_verifies_the_signed_checkpoint() {
    use signed_note::{Note, StandardVerifier, VerifierList};
    let place = filled(2, 10);
    let bytes = fs::read(place.folder().join("checkpoint")).unwrap();
    let note = Note::from_bytes(&bytes).unwrap();
    assert_eq!(note.to_bytes(), bytes);
    let verifier = StandardVerifier::new(&signer().verifier().to_string()).unwrap();
    let (good, unknown) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((good.len(), unknown.len()), (1, 0));
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), (ORIGIN, 23));
    assert_eq!(checkpoint.to_bytes(), note.text());
}

/// Runs a program that the documentation names; one that is not installed is a failure, never skipped.
fn run(folder: &Path, program: &str, package: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("{program} can't be run ({error}): apt-get install {package}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

#[test]
fn openssl_signify_and_minisign_verify_an_exported_checkpoint() {
    let place = filled(2, 10);
    let head = place.open().head().clone();
    let out = place.path().join("exported");
    fs::create_dir(&out).unwrap();
    for file in export(&head.note, signer().verifier(), Some(&signer())).unwrap() {
        fs::write(out.join(file.name), file.bytes).unwrap();
    }
    let openssl = "pkeyutl -verify -pubin -inkey key.pem -rawin -in checkpoint.body -sigfile checkpoint.raw";
    let signify = "-V -p key.pub -m checkpoint.body -x checkpoint.body.sig";
    let minisign = "-V -p key.pub -m checkpoint.body -x checkpoint.body.minisig";
    let programs = [
        ("openssl", "openssl", openssl),
        ("signify-openbsd", "signify-openbsd", signify),
        ("minisign", "minisign", minisign),
    ];
    for sound in [true, false] {
        for (program, package, arguments) in programs {
            let (verified, said) = run(&out, program, package, &arguments.split(' ').collect::<Vec<_>>());
            assert_eq!(verified, sound, "{program}: {said}");
        }
        let altered = fs::read_to_string(out.join("checkpoint.body")).unwrap().replacen("23", "24", 1);
        fs::write(out.join("checkpoint.body"), altered).unwrap();
    }
}

#[test]
fn a_shell_script_computes_the_root_and_checks_a_proof() {
    let place = filled(3, 9);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audit/verify-root.sh");
    let head = place.open().head().clone();
    let mut files: Vec<_> =
        fs::read_dir(place.folder().join("journal")).unwrap().map(|item| item.unwrap().path()).collect();
    files.sort();
    let mut arguments = vec![script, "root"];
    arguments.extend(files.iter().map(|path| path.to_str().unwrap()));
    let (done, root) = run(place.path(), "sh", "dash", &arguments);
    assert!(done, "{root}");
    assert_eq!(root.trim(), STANDARD.encode(head.checkpoint.root.0));
    for (index, line) in (0..).zip(lines(&place.folder())).step_by(5) {
        let proof = prove(&place.folder(), index, line.as_bytes()).unwrap();
        fs::write(place.path().join("entry"), format!("{line}\n")).unwrap();
        fs::write(place.path().join("proof"), proof.encode()).unwrap();
        let (included, said) = run(place.path(), "sh", "dash", &[script, "inclusion", "entry", "proof"]);
        assert!(included && said == "included\n", "{index}: {said}");
        fs::write(place.path().join("entry"), line.replace("fietsen", "fietser").replace("erased", "failed") + " ")
            .unwrap();
        let (included, said) = run(place.path(), "sh", "dash", &[script, "inclusion", "entry", "proof"]);
        assert!(!included && said == "NOT included\n", "{index}: {said}");
    }
    let documented = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit-format.md")).unwrap();
    assert!(documented.contains(&fs::read_to_string(script).unwrap()), "docs/audit-format.md has the same script");
}

/// The shell commands of the documentation, as they stand there.
fn documented(holding: &str) -> String {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/audit-format.md")).unwrap();
    let block = text
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .find(|block| block.contains(holding));
    block.unwrap_or_else(|| panic!("no commands with {holding}")).to_string()
}

#[test]
fn the_documented_commands_check_the_golden_log() {
    let place = Place::new();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/audit");
    let by_hand = documented("key.der").replace("KEY.vkey", &format!("{fixtures}/v1.vkey"));
    let first = documented("pkeyutl").lines().next().unwrap().to_string();
    let root = documented("head -n SIZE").replace("LOG", &format!("{fixtures}/v1")).replace("SIZE", "325");
    let script = format!(
        "set -e; cp {fixtures}/v1/checkpoint {fixtures}/verify-root.sh .\n{by_hand}\n{first}\ntest \"$({root})\" = \"$(sed -n 3p checkpoint)\""
    );
    let (done, said) = run(place.path(), "sh", "dash", &["-c", &script]);
    assert!(done && said.contains("Signature Verified Successfully"), "{said}");
}

#[test]
fn the_documented_commands_open_a_commitment() {
    use bewaard::audit::commitment::Committer;
    use bewaard::domain::id::PartId;
    let committer = Committer::new(&[7; 32]);
    let (record, part) = (b"crm/customers/613", PartId::new("contact").unwrap());
    let script = documented("hexkey")
        .replace("K_RECORD_HEX", &hex::encode(*committer.record_key(record)))
        .replace("RECORD_HEX", &hex::encode(record))
        .replace("PART |", "contact |");
    let (done, said) = run(Place::new().path(), "sh", "dash", &["-c", &script]);
    assert!(done, "{said}");
    assert_eq!(said.trim(), committer.commitment(record, &part).to_string());
}

#[test]
fn a_proof_shows_its_entry_and_nothing_else() {
    let place = filled(3, 50);
    let lines = lines(&place.folder());
    let key = signer();
    let keys = [key.verifier()];
    let proof = prove(&place.folder(), 100, lines[100].as_bytes()).unwrap();
    let text = proof.encode();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 100\n"));
    let read = Proof::read(&text).unwrap();
    assert_eq!(read.verify(lines[100].as_bytes(), &keys).unwrap().size, 154);
    assert_eq!(Proof::read(&text.replacen('\n', "\nextra AAAA\n", 1)).unwrap(), read);
    assert!(read.verify(lines[101].as_bytes(), &keys).is_err());
    assert!(read.verify(lines[100].as_bytes(), &[super::support::signer_of(8).verifier()]).is_err());
    for bit in (0..text.len() * 8).step_by(7) {
        let mut bytes = text.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(altered) = String::from_utf8(bytes) else { continue };
        let verdict = Proof::read(&altered).and_then(|proof| proof.verify(lines[100].as_bytes(), &keys));
        assert!(verdict.is_err(), "bit {bit}: {altered}");
    }
    assert!(prove(&place.folder(), 154, b"").is_err());
    fs::remove_file(place.folder().join("tile/0/000.p/154")).unwrap();
    assert_eq!(prove(&place.folder(), 100, lines[100].as_bytes()).unwrap_err().code().id, "B412");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(12))]
    #[test]
    fn any_grouping_gives_the_tree_of_its_lines(groups in proptest::collection::vec((0u64..90, 0u8..3), 1..12)) {
        let place = Place::new();
        let mut log = place.create();
        for (number, (count, how)) in (1..).zip(groups) {
            log.append(&batch(number, count), KEY, time()).unwrap();
            if how > 0 {
                log.seal().unwrap();
            }
            if how > 1 {
                log.publish().unwrap();
            }
        }
        let sealed = log.seal().unwrap().clone();
        log.publish().unwrap();
        let lines = lines(&place.folder());
        let stored = reference(&lines);
        assert_eq!(sealed.size, lines.len() as u64);
        assert_eq!(tlog_tiles::tree_hash(sealed.size, &stored).unwrap().0, sealed.root.0);
        let mut frontier = tree::Frontier::default();
        for line in &lines {
            frontier.push(tree::leaf_hash(line.as_bytes()));
        }
        assert_eq!(frontier.root(), sealed.root);
        let report = bewaard::audit::verify::verify(&place.folder(), &super::attacks::options(&place));
        assert_eq!((report.faults, report.told), (vec![], vec![]));
    }
}
