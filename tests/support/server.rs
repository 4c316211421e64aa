//! A web server on this machine, for a test that fetches.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// Serves every request with what `answer` writes for its path, for as long as the test runs.
pub fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let mut request = [0; 2048];
                let count = stream.read(&mut request).unwrap();
                let request = String::from_utf8_lossy(&request[..count]).into_owned();
                answer(request.split(' ').nth(1).unwrap_or_default(), &mut stream);
            });
        }
    });
    url
}

/// Answers with this body, and says that it has so many bytes.
pub fn respond(stream: &mut TcpStream, length: usize, body: &[u8]) {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    stream.write_all(body).unwrap();
}

/// Answers that there is no such thing.
pub fn refuse(stream: &mut TcpStream) {
    let head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(head).unwrap();
}
