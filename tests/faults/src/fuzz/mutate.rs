//! Inputs out of true ones.
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// Longest input. What is longer is refused by its size, everywhere.
pub const LONGEST: usize = 64 << 10;

/// Pieces that have been somebody's undoing.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"-1",
    b"0",
    b"1e999",
    b"-0",
    b"0.1",
    b"NaN",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"99999999999999999999999999999999999999",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"<![CDATA[",
    b"]]>",
    b"<!DOCTYPE x [<!ENTITY a \"b\">]>",
    b"&a;",
    b"&#0;",
    b"&#x110000;",
    b"<x/>",
    b"<!--",
    b"<?",
    b"%",
    b"%0",
    b"%zz",
    b"%00",
    b"&",
    b"=",
    b"&&",
    b"+",
    b"\r\n",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
];

/// One input: a true one with up to eight changes, or, now and then, nothing but noise.
pub fn one(seeds: &[Vec<u8>], random: &mut StdRng) -> Vec<u8> {
    if seeds.is_empty() || random.random_ratio(1, 32) {
        let mut noise = vec![0; random.random_range(0..512)];
        random.fill_bytes(&mut noise);
        return noise;
    }
    let mut input = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(0..8) {
        change(&mut input, seeds, random);
    }
    input.truncate(LONGEST);
    input
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut StdRng) {
    let at = random.random_range(0..=input.len());
    let end = (at + random.random_range(0..32)).min(input.len());
    match random.random_range(0..9) {
        0 if at < input.len() => input[at] ^= 1 << random.random_range(0..8),
        1 if at < input.len() => input[at] = random.random(),
        2 => input.truncate(at),
        3 => drop(input.drain(at..end)),
        4 => {
            let span = input[at..end].to_vec();
            input.splice(at..at, span);
        }
        5 => {
            let other = &seeds[random.random_range(0..seeds.len())];
            let from = random.random_range(0..=other.len());
            let to = (from + random.random_range(0..256)).min(other.len());
            input.splice(at..end, other[from..to].iter().copied());
        }
        6 => {
            let deep: &[u8] = [&b"["[..], b"{\"a\":", b"<a>", b"\"", b"a", b"\xe6\xbc\xa2"][random.random_range(0..6)];
            input.splice(at..at, deep.repeat(random.random_range(1..2_000)));
        }
        _ => {
            let piece = PIECES[random.random_range(0..PIECES.len())];
            input.splice(at..end, piece.iter().copied());
        }
    }
}
