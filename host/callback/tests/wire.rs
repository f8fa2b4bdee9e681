//! Over a real socket: what a broken sender does to HTTP itself.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod room;

use std::net::SocketAddr;

use room::{ANNA, BODY_LIMIT, Push, Room, hasty, paid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn serve(room: &Room) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = room.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Sends bytes, ends its half of the connection if told to, and reads until the other side ends.
async fn exchange(address: SocketAddr, bytes: &[u8], end: bool) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    if end {
        stream.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    // A reset counts as an end.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn raw(push: &Push, length: usize, body: &str) -> Vec<u8> {
    let query = push.query(&push.sealed());
    let path = &push.path;
    format!("POST {path}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[tokio::test]
async fn whole_cut_and_oversized_bodies() {
    let room = Room::open().await;
    let address = serve(&room).await;
    let push = Push::authorized(ANNA, paid("gh_anna", 7));
    let body = push.body(&push.sealed());

    for cut in [0, 1, body.len() / 2, body.len() - 1] {
        let answer = exchange(address, &raw(&push, body.len(), &body[..cut]), true).await;
        assert!(!answer.contains("200 OK") && !answer.contains("success"), "cut at {cut}: {answer}");
    }
    // Held open: the answer does not wait for the sender.
    let in_haste = Room::open_with(hasty(), |durable| durable).await;
    let held_open = raw(&push, body.len(), &body[..body.len() / 3]);
    let answer = exchange(serve(&in_haste).await, &held_open, false).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(in_haste.all_events().await.len(), 0);
    // Announced too large: answered before the body is sent.
    let answer = exchange(address, &raw(&push, BODY_LIMIT + 1, ""), false).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    for nonsense in ["\r\n\r\n", "GET\r\n\r\n", "POST /callback/weixin/x HTTP/9.9\r\n\r\n", "\u{16}\u{3}\u{1}"] {
        let answer = exchange(address, nonsense.as_bytes(), true).await;
        assert!(!answer.contains("200 OK"), "{nonsense:?}: {answer}");
    }
    // Two lengths or two framings in one request: no smuggling.
    let twice = String::from_utf8(raw(&push, body.len(), &body)).unwrap();
    let twice = twice.replace("Host: x\r\n", "Host: x\r\nContent-Length: 3\r\n");
    let answer = exchange(address, twice.as_bytes(), true).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(room.all_events().await.len(), 0);

    let answer = exchange(address, &raw(&push, body.len(), &body), false).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nsuccess"), "{answer}");
    assert_eq!(room.all_events().await.len(), 1);
}
