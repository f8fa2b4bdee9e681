//! Bad callbacks through the real room: each gets its status and code, leaves no row and panics nowhere.
//!
//! Every case differs from a good push in one thing, and is otherwise signed and sealed with the right keys.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "refused/binding.rs"]
mod binding;
#[path = "refused/bodies.rs"]
mod bodies;
#[path = "refused/case.rs"]
mod case;
#[path = "refused/ciphertexts.rs"]
mod ciphertexts;
#[path = "refused/json.rs"]
mod json;
#[path = "refused/queries.rs"]
mod queries;
mod room;
#[path = "refused/xml.rs"]
mod xml;

use std::collections::BTreeMap;

use case::Case;
use room::{ANNA, BENE, Push, Room, SELMA, hasty, paid, paid_json};

#[tokio::test]
async fn the_table() {
    let room = Room::open().await;
    // A room of its own for those that wait for a time to pass: nothing else here depends on how fast anything is.
    let in_haste = Room::open_with(hasty(), |durable| durable).await;
    let groups: [(&str, Vec<Case>); 6] = [
        ("queries", queries::cases()),
        ("bodies", bodies::cases()),
        ("ciphertexts", ciphertexts::cases()),
        ("binding", binding::cases()),
        ("xml", xml::cases()),
        ("json", json::cases()),
    ];
    let mut failures = Vec::new();
    let mut by_code: BTreeMap<&str, usize> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (group, cases) in groups {
        eprintln!("{group}: {} cases", cases.len());
        for Case { name, request, status, code } in cases {
            *by_code.entry(code).or_default() += 1;
            *names.entry(format!("{group}: {name}")).or_insert(0) += 1;
            let asked = if code == "body_too_slow" { &in_haste } else { &room };
            let answer = asked.send(request).await;
            // A HEAD's answer has no body to look at.
            let right = answer.status == status && (name == "method HEAD" || answer.code().as_deref() == Some(code));
            if !right {
                failures.push(format!("{group}: {name}: expected {status} {code}, got {answer:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    let total: usize = by_code.values().sum();
    eprintln!("{total} bad callbacks: {by_code:?}");
    assert!(total >= 300, "only {total}");
    assert!(names.values().all(|&times| times == 1), "a case twice: {names:?}");
    for room in [&room, &in_haste] {
        assert_eq!(room.all_events().await.len(), 0, "a refused callback left a row");
    }

    // The same room still takes good ones.
    for push in [
        Push::authorized(ANNA, paid("gh_anna", 3705115058471208928)),
        Push::authorized(BENE, paid_json("gh_bene", 3705115058471208928)),
        Push::self_built(paid_json("gh_selma", 3705115058471208928)),
    ] {
        assert!(room.send(push.request()).await.is_success(), "{}", push.path);
    }
    assert_eq!(room.all_events().await.len(), 3);

    // And every refusal that could be put down to a tenant was.
    for (appid, code) in [
        (ANNA, "bad_query"),
        (ANNA, "bad_signature"),
        (ANNA, "outside_window"),
        (ANNA, "bad_ciphertext"),
        (ANNA, "wrong_appid"),
        (ANNA, "wrong_shop"),
        (ANNA, "bad_message"),
        (ANNA, "body_too_large"),
        (BENE, "wrong_shop"),
        (SELMA, "bad_signature"),
        (SELMA, "wrong_appid"),
    ] {
        assert!(room.refused(room.id(appid), code).await > 0, "{appid} {code}");
    }
}
