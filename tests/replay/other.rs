//! A project that knows nothing of the runner; `run.rs` runs its tests in the guest.

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_kernel_is_the_books() {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(release.trim(), "6.1.176");
    }

    #[test]
    fn tcp_works_over_the_loopback() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            listener.accept().unwrap().0.write_all(b"hello").unwrap();
        });
        let mut text = String::new();
        TcpStream::connect(address).unwrap().read_to_string(&mut text).unwrap();
        server.join().unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn files_that_were_packed_are_at_their_place() {
        let folder = env!("CARGO_MANIFEST_DIR");
        assert_eq!(std::env::var("CARGO_MANIFEST_DIR").unwrap(), folder);
        let text = std::fs::read_to_string("tests/data/greeting").unwrap();
        assert_eq!(text, "hello\n");
    }
}
