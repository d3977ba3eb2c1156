//! Blobs on a real S3 server: moto's, from PyPI.

use crate::{BlobId, Blobs, SystemRandom};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Stops the server with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// `moto_server` as `BONAFIDE_MOTO_SERVER` names it, in `target/s3-venv`, or on the path.
fn program() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("BONAFIDE_MOTO_SERVER") {
        return Some(path.into());
    }
    let in_target =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/s3-venv/bin/moto_server"));
    if in_target.exists() {
        return Some(in_target);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("moto_server")).find(|path| path.exists())
}

#[tokio::test]
async fn blobs_are_written_read_listed_and_deleted_on_an_s3_server() {
    let Some(program) = program() else {
        println!("skipped: no moto_server");
        return;
    };
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("free port");
        free.local_addr().expect("address").port()
    };
    let child = Command::new(program)
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("moto_server starts");
    let _server = Server(child);
    let endpoint = format!("http://127.0.0.1:{port}");
    let s3 = object_store::aws::AmazonS3Builder::new()
        .with_bucket_name("bonafide")
        .with_endpoint(&endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .build()
        .expect("client");
    // The bucket is made with a bare request: object_store has no call for that.
    let mut ready = false;
    for _ in 0..120 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            ready = true;
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    assert!(ready, "moto_server answers within 30 s");
    {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("connect");
        let request = format!(
            "PUT /bonafide HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let blobs = Blobs::from_store(s3, "tenant/blobs");
    let id = BlobId::generate(&SystemRandom);
    assert!(blobs.get(&id).await.expect("get").is_none());
    blobs.put(&id, vec![7; 300_000]).await.expect("put");
    assert_eq!(blobs.get(&id).await.expect("get").expect("there"), vec![7; 300_000]);
    let listed = blobs.list(crate::Clock::now(&crate::SystemClock)).await.expect("list");
    assert_eq!(listed.iter().map(|blob| &blob.id).collect::<Vec<_>>(), [&id]);
    blobs.delete(&id).await.expect("delete");
    blobs.delete(&id).await.expect("deleting again is no error");
    assert!(blobs.get(&id).await.expect("get").is_none());
}

#[test]
fn urls_of_blob_stores_are_checked() {
    assert!(Blobs::from_url("s3://bucket/prefix?endpoint=http://127.0.0.1:9&region=x").is_ok());
    assert!(Blobs::from_url("s3://bucket?unknown=1").is_err());
    assert!(Blobs::from_url("ftp://x").is_err());
    assert!(BlobId::parse("../../../../etc/passwd").is_none());
    assert!(BlobId::parse(&"A".repeat(32)).is_none());
    assert!(BlobId::parse(&"a".repeat(32)).is_some());
}
