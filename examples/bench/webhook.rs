//! A webhook from its first byte to the 202, with the delivery on disk.

use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use secrecy::SecretString;

use crate::median;
use crate::siding;

const SECRET: &str = "bench";
const DELIVERIES: usize = 300;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

pub(crate) fn measure(folder: &Path) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    std::fs::write(folder.join("secret"), SECRET).expect("the folder can be written");
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/github/test-app-key.pem");
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port");
    let server = Command::new(siding())
        .args([
            "serve",
            "--listen",
            &address.to_string(),
            "--app-id",
            "1",
            "--webhook-secret-file",
            "secret",
        ])
        // Nothing answers there: only the door is measured.
        .args([
            "--api-url",
            "http://127.0.0.1:9",
            "--git-url",
            "file:///nowhere/{owner}/{name}.git",
        ])
        .arg("--private-key-file")
        .arg(key)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let server = Server(server);
    while std::net::TcpStream::connect(address).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let milliseconds = runtime.block_on(deliver(&format!("http://{address}/github/webhook")));
    drop(server);
    println!(
        "webhook to 202, delivery on disk: {:.2} ms at the median of {DELIVERIES} (goal 10)",
        median(milliseconds)
    );
}

async fn deliver(url: &str) -> Vec<f64> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks/examples");
    let body = first_example(&example);
    let signature = siding::github::sign(&SecretString::from(SECRET), &body);
    let client = reqwest::Client::new();
    let mut milliseconds = Vec::with_capacity(DELIVERIES);
    for index in 0..DELIVERIES {
        let request = client
            .post(url)
            .header("content-type", "application/json")
            .header("x-github-event", "pull_request")
            .header(
                "x-github-delivery",
                format!("00000000-0000-0000-0000-{index:012}"),
            )
            .header("x-hub-signature-256", &signature)
            .body(body.clone());
        let started = Instant::now();
        let answer = request.send().await.expect("the server answers");
        milliseconds.push(started.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(answer.status().as_u16(), 202, "the delivery is taken");
    }
    milliseconds
}

/// A `pull_request` webhook from GitHub's own examples.
fn first_example(folder: &Path) -> Vec<u8> {
    let mut paths: Vec<_> = std::fs::read_dir(folder.join("pull_request"))
        .expect("the examples are there")
        .map(|entry| entry.expect("the examples can be read").path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("synchronize"))
        })
        .collect();
    paths.sort();
    std::fs::read(paths.first().expect("there is an example")).expect("the example can be read")
}
