//! Base64, lengths, paddings, layouts and appids; all of them signed as they stand.

use super::case::{Case, case, good};
use crate::room::seal::{encrypt, encrypt_blocks};
use crate::room::{ANNA, BENE, COMPONENT, COMPONENT_KEY, COMPONENT_OLD_KEY, Push, SELF_KEY, STRANGE_KEY, paid_json};

pub fn cases() -> Vec<Case> {
    let mut cases = base64();
    cases.extend(lengths());
    cases.extend(paddings());
    cases.extend(layouts());
    cases.extend(keys());
    cases.extend(appids());
    cases
}

fn base64() -> Vec<Case> {
    let push = good();
    // Ends in one `=`, so that its padding can be spoilt.
    let sealed = (0..3)
        .map(|more| encrypt(&push.key, &[0; 16], &[b' '; 32].repeat(more + 1), &push.appid))
        .find(|sealed| sealed.ends_with('=') && !sealed.ends_with("=="))
        .unwrap();
    let bare = sealed.trim_end_matches('=').to_owned();
    let mut cases = Vec::new();
    for (name, text) in [
        ("one letter", "A".to_owned()),
        ("equal signs", "====".to_owned()),
        ("no base64 at all", "!!!!".to_owned()),
        ("hex with colons", "aa:bb:cc:dd".to_owned()),
        ("without padding", bare.clone()),
        ("too much padding", format!("{sealed}=")),
        ("padding in the middle", format!("{}={}", &bare[..8], &bare[8..])),
        ("a letter too many", format!("{sealed}A")),
        ("a letter too few", sealed[1..].to_owned()),
        ("a blank inside", format!("{} {}", &sealed[..8], &sealed[8..])),
        ("a blank before", format!(" {sealed}")),
        ("a line break after", format!("{sealed}\n")),
        ("a line break inside", format!("{}\n{}", &sealed[..64], &sealed[64..])),
        ("the URL alphabet", format!("-_{}", &sealed[2..])),
        ("percent-encoded", sealed.replace('=', "%3D")),
        ("beyond ASCII", format!("é{}", &sealed[2..])),
        ("a full-width letter", format!("Ａ{}", &sealed[3..])),
        ("two ciphertexts in one", format!("{sealed}{sealed}")),
    ] {
        cases.push(case(format!("base64: {name}"), push.request_of(&text), 400, "bad_ciphertext"));
    }
    cases
}

/// Everything but whole blocks of 32 is refused before a block is opened.
fn lengths() -> Vec<Case> {
    use base64::Engine;
    let push = good();
    let mut cases = Vec::new();
    for length in (1..32).chain([33, 40, 47, 48, 49, 63, 65, 80, 95, 97, 112, 1000, 1008]) {
        let bytes: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        cases.push(case(format!("{length} bytes of ciphertext"), push.request_of(&text), 400, "bad_ciphertext"));
    }
    cases
}

/// A plaintext of whole blocks whose last bytes are `tail`.
fn ending(push: &Push, tail: &[u8]) -> String {
    let mut plain = Vec::from([b'r'; 16]);
    plain.extend_from_slice(&(push.message.len() as u32).to_be_bytes());
    plain.extend_from_slice(&push.message);
    plain.extend_from_slice(push.appid.as_bytes());
    while !(plain.len() + tail.len()).is_multiple_of(32) {
        plain.push(b'x');
    }
    plain.extend_from_slice(tail);
    encrypt_blocks(&push.key, plain)
}

fn paddings() -> Vec<Case> {
    let push = good();
    let mut cases = Vec::new();
    for last in [0, 33, 34, 47, 48, 64, 100, 127, 128, 200, 255] {
        let tail = vec![last; 32];
        cases.push(case(format!("padding {last}"), push.request_of(&ending(&push, &tail)), 400, "bad_ciphertext"));
    }
    // The last byte names a padding, and the first byte of that padding is another.
    for count in 2..=32_u8 {
        let mut tail = vec![count; usize::from(count)];
        tail[0] = count - 1;
        let sealed = ending(&push, &tail);
        cases.push(case(
            format!("padding {count}, its first byte wrong"),
            push.request_of(&sealed),
            400,
            "bad_ciphertext",
        ));
    }
    cases
}

fn layouts() -> Vec<Case> {
    let push = good();
    let mut cases = Vec::new();
    // Too short for random16 and a length.
    for length in 0..20 {
        let mut plain = vec![b'r'; length];
        plain.resize(32, (32 - length) as u8);
        let sealed = encrypt_blocks(&push.key, plain);
        cases.push(case(format!("plaintext of {length} bytes"), push.request_of(&sealed), 400, "bad_ciphertext"));
    }
    let claiming = |length: u32| {
        let mut plain = Vec::from([b'r'; 16]);
        plain.extend_from_slice(&length.to_be_bytes());
        plain.extend_from_slice(&push.message);
        plain.extend_from_slice(push.appid.as_bytes());
        let pad = 32 - plain.len() % 32;
        plain.resize(plain.len() + pad, pad as u8);
        push.request_of(&encrypt_blocks(&push.key, plain))
    };
    let (message, appid) = (push.message.len() as u32, push.appid.len() as u32);
    for (name, length) in [
        ("a byte beyond the end", message + appid + 1),
        ("far beyond the end", message + 100_000),
        ("in the other byte order", message.swap_bytes()),
        ("2^31", 1 << 31),
        ("2^32 - 1", u32::MAX),
        ("2^32 - 20", u32::MAX - 19),
    ] {
        cases.push(case(format!("message length {name}"), claiming(length), 400, "bad_ciphertext"));
    }
    // Within the plaintext, but then what closes it is no appid of ours.
    for (name, length) in
        [("nothing", 0), ("a byte less", message - 1), ("a byte more", message + 1), ("up to the end", message + appid)]
    {
        cases.push(case(format!("message length {name}"), claiming(length), 403, "wrong_appid"));
    }
    cases
}

fn keys() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, key) in [("the self-built shop's", SELF_KEY), ("a strange", STRANGE_KEY)] {
        let push = Push { key: key.to_owned(), ..good() };
        cases.push(case(format!("sealed with {name} key"), push.request(), 400, "bad_ciphertext"));
    }
    for (name, key) in [("the component's", COMPONENT_KEY), ("the component's previous", COMPONENT_OLD_KEY)] {
        let push = Push { key: key.to_owned(), ..Push::self_built(paid_json("gh_selma", 7)) };
        cases.push(case(format!("self-built, sealed with {name} key"), push.request(), 400, "bad_ciphertext"));
    }
    cases
}

fn appids() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, appid) in [
        ("the shop's own", ANNA.to_owned()),
        ("another shop's", BENE.to_owned()),
        ("another component's", "wxffffffffffffffff".to_owned()),
        ("none", String::new()),
        ("cut", COMPONENT[..17].to_owned()),
        ("with more after it", format!("{COMPONENT}0")),
        ("with a zero byte after it", format!("{COMPONENT}\0")),
        ("with a blank after it", format!("{COMPONENT} ")),
        ("in capitals", COMPONENT.to_uppercase()),
        ("beyond ASCII", "微信".to_owned()),
    ] {
        let push = Push { appid, ..good() };
        cases.push(case(format!("closes with appid {name}"), push.request(), 403, "wrong_appid"));
    }
    let old = Push { key: COMPONENT_OLD_KEY.to_owned(), appid: ANNA.to_owned(), ..good() };
    cases.push(case("closes with the shop's appid under the previous key", old.request(), 403, "wrong_appid"));
    for (name, appid) in [("the component's", COMPONENT), ("another shop's", ANNA), ("none", ""), ("small", "wxs")] {
        let push = Push { appid: appid.to_owned(), ..Push::self_built(paid_json("gh_selma", 7)) };
        cases.push(case(format!("self-built, closes with appid {name}"), push.request(), 403, "wrong_appid"));
    }
    cases
}
