//! Connections to PostgreSQL that are encrypted, with certificates that are right and with such as are not.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::cluster;
use crate::cluster::Database;
use crate::own_server::OwnServer;
use crate::postgres::rows;
use crate::workspace::Ended;
use crate::workspace::Workspace;

/// Who may come in over TCP: each by a rule of its own.
const ACCESS: &str = "local all all trust
hostssl all certified all cert
hostssl all encrypted all trust
hostnossl all plain all trust
host all siding all trust
";

/// Says whether the connection that fills it is encrypted.
const MODEL: &str = "MODEL (name shop.m, kind FULL);
SELECT ssl AS encrypted, 0 AS number FROM pg_stat_ssl WHERE pid = pg_backend_pid()
";

/// A project on a server that listens at an address of its own.
struct Tls {
    workspace: Workspace,
    database: Database,
    address: String,
    server: OwnServer,
    _of_server: TempDir,
}

/// Runs `openssl` in the folder.
fn openssl(folder: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments.split(' '));
    let done = command.output().unwrap();
    assert!(done.status.success(), "{arguments}: {done:?}");
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch";

/// An authority: `<name>.pem` and `<name>.key`.
fn authority(folder: &Path, name: &str) {
    openssl(
        folder,
        &format!("req -x509 {KEY} -days 2 -subj /CN={name} -keyout {name}.key -out {name}.pem"),
    );
}

/// A certificate that `by` has signed: `<name>.pem` and `<name>.key`.
fn certificate(folder: &Path, name: &str, by: &str, extensions: &str) {
    fs::write(
        folder.join("extensions"),
        format!("basicConstraints=CA:FALSE\n{extensions}\n"),
    )
    .unwrap();
    openssl(
        folder,
        &format!("req {KEY} -subj /CN={name} -keyout {name}.key -out {name}.csr"),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -set_serial 7 -days 2 -extfile extensions -out {name}.pem"
        ),
    );
}

impl Tls {
    /// With files `ca.pem` (whoever signed the server's certificate), `other.pem` (somebody else) and `certified.pem`
    /// with its key in the project. `named` are the names that the server's certificate has.
    async fn new(encrypts: bool, named: impl Fn(&str) -> String) -> Self {
        let workspace = Workspace::new(&[("models/m.sql", MODEL)]);
        let folder = workspace.path();
        // Every address that begins so is this machine; the port stays the usual one.
        let seed = folder.as_os_str().as_encoded_bytes();
        let [a, b]: [u8; 2] = blake3::hash(seed).as_bytes()[..2].try_into().unwrap();
        let address = format!("127.9.{a}.{}", b.max(1));
        authority(folder, "ca");
        authority(folder, "other");
        let names = format!("subjectAltName={}", named(&address));
        certificate(folder, "server", "ca", &names);
        certificate(folder, "certified", "ca", "extendedKeyUsage=clientAuth");
        let of_server = tempfile::Builder::new()
            .prefix("siding-tls-")
            .tempdir_in("/tmp")
            .unwrap();
        for file in ["server.pem", "server.key", "ca.pem"] {
            let copy = of_server.path().join(file);
            fs::copy(folder.join(file), &copy).unwrap();
            cluster::give(&copy).unwrap();
        }
        cluster::give(of_server.path()).unwrap();
        let at = |file: &str| of_server.path().join(file).display().to_string();
        let settings = [
            format!("listen_addresses={address}"),
            format!("ssl={}", if encrypts { "on" } else { "off" }),
            format!("ssl_cert_file={}", at("server.pem")),
            format!("ssl_key_file={}", at("server.key")),
            format!("ssl_ca_file={}", at("ca.pem")),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let server = OwnServer::start(&settings, |setup| setup.access = ACCESS);
        let database = server.database().await;
        let roles = "CREATE ROLE certified SUPERUSER LOGIN; CREATE ROLE encrypted SUPERUSER LOGIN; CREATE ROLE plain SUPERUSER LOGIN";
        database.execute(roles).await;
        Self {
            workspace,
            database,
            address,
            server,
            _of_server: of_server,
        }
    }

    /// Applies a plan to an environment, connecting with these lines on top; warehouse and state are one database.
    fn apply(&self, environment: &str, lines: &[&str]) -> Ended {
        let mut config = format!(
            "gateways:\n  local:\n    connection:\n      type: postgres\n      host: {}\n      database: {}\n",
            self.address, self.database.name
        );
        let has_user = lines.iter().any(|line| line.starts_with("user:"));
        let siding = format!("user: {}", cluster::USER);
        let user = (!has_user).then_some(&*siding);
        for line in lines.iter().copied().chain(user) {
            config = format!("{config}      {line}\n");
        }
        config.push_str("model_defaults:\n  dialect: postgres\n  start: 2024-01-01\n");
        self.workspace.write("config.yaml", &config);
        let plan = ["plan", environment, "--auto-apply", "--execution-time"];
        self.workspace.run(&[&plan[..], &["2024-01-03"]].concat())
    }

    /// Whether the connection was encrypted that filled the environment's table.
    async fn was_encrypted(&self, environment: &str) -> bool {
        let sql = format!("SELECT encrypted FROM shop__{environment}.m");
        match &*rows(&self.database, &sql).await[0][0] {
            "t" => true,
            "f" => false,
            other => panic!("{other}"),
        }
    }

    /// Lets nobody find the table of an earlier plan.
    fn other_model(&self, number: usize) {
        let text = MODEL.replace("0 AS number", &format!("{number} AS number"));
        self.workspace.write("models/m.sql", &text);
    }

    /// Names of tables that are no part of the server.
    async fn tables(&self) -> usize {
        let sql = "SELECT 1 FROM pg_class WHERE relkind = 'r' AND relnamespace > 16000";
        rows(&self.database, sql).await.len()
    }
}

#[tokio::test]
pub(crate) async fn an_encrypted_connection_serves_warehouse_and_state() {
    let tls = Tls::new(true, |address| format!("IP:{address}")).await;
    let cases: &[(&[&str], bool)] = &[
        (&["sslmode: require"], true),
        (&["sslmode: require", "sslrootcert: ca.pem"], true),
        (&["sslmode: verify-ca", "sslrootcert: ca.pem"], true),
        (&["sslmode: verify-full", "sslrootcert: ca.pem"], true),
        (&["sslmode: prefer"], true),
        (&["sslmode: allow"], false),
        (&["sslmode: disable"], false),
        // The server decides by user.
        (&["sslmode: allow", "user: encrypted"], true),
        (&["sslmode: prefer", "user: plain"], false),
        (
            &[
                "sslmode: verify-full",
                "sslrootcert: ca.pem",
                "user: certified",
                "sslcert: certified.pem",
                "sslkey: certified.key",
            ],
            true,
        ),
    ];
    for (index, (lines, is_encrypted)) in cases.iter().enumerate() {
        tls.other_model(index + 1);
        let environment = format!("e{index}");
        let ended = tls.apply(&environment, lines);
        assert_eq!(ended.code, 0, "{lines:?}: {}", ended.stderr);
        let was = tls.was_encrypted(&environment).await;
        assert_eq!(was, *is_encrypted, "{lines:?}");
    }
    let ended = tls.workspace.run(&["environments"]).fine();
    assert!(ended.stdout.contains("e9"), "{}", ended.stdout);
}

#[tokio::test]
pub(crate) async fn who_cannot_be_trusted_is_told_apart_and_gets_nothing() {
    let tls = Tls::new(true, |_| "DNS:db.example.com".to_owned()).await;
    let cases: &[(&[&str], &str, &str)] = &[
        (
            &["sslmode: verify-ca", "sslrootcert: other.pem"],
            "UnknownIssuer",
            "`sslrootcert`",
        ),
        (
            &["sslmode: require", "sslrootcert: other.pem"],
            "UnknownIssuer",
            "`sslrootcert`",
        ),
        // The machine's own authorities have not signed it.
        (&["sslmode: verify-full"], "UnknownIssuer", "`sslrootcert`"),
        (
            &["sslmode: verify-full", "sslrootcert: ca.pem"],
            "db.example.com",
            "a name that the certificate has as `host`",
        ),
        (
            &["sslmode: verify-ca", "sslrootcert: gone.pem"],
            "gone.pem` cannot be read",
            "Check `sslrootcert`",
        ),
        (
            &["sslmode: verify-ca", "sslrootcert: ca.key"],
            "ca.key` holds no certificate",
            "Check `sslrootcert`",
        ),
        (
            &["sslmode: disable", "user: encrypted"],
            "no pg_hba.conf entry",
            "`sslmode`",
        ),
        (
            &["sslmode: require", "user: plain"],
            "no pg_hba.conf entry",
            "`sslmode`",
        ),
        (
            &["sslmode: require", "user: certified"],
            "valid client certificate",
            "`sslcert` and `sslkey`",
        ),
    ];
    let before = tls.tables().await;
    for (lines, message, way_out) in cases {
        let said = tls.apply("prod", lines).failed().stderr;
        assert!(said.contains(message), "{lines:?}: {said}");
        assert!(said.contains(way_out), "{lines:?}: {said}");
        assert!(!said.contains("such socket"), "{lines:?}: {said}");
        assert_eq!(said.matches("help: ").count(), 1, "{lines:?}: {said}");
    }
    assert_eq!(tls.tables().await, before, "nothing was made");
    // Who does not look at names comes in.
    tls.apply("prod", &["sslmode: verify-ca", "sslrootcert: ca.pem"])
        .fine();
}

#[tokio::test]
async fn a_server_without_tls_is_told_to_whoever_insists() {
    let mut tls = Tls::new(false, |address| format!("IP:{address}")).await;
    for lines in [
        &["sslmode: require"][..],
        &["sslmode: verify-full", "sslrootcert: ca.pem"],
    ] {
        let said = tls.apply("prod", lines).failed().stderr;
        assert!(said.contains("server does not support TLS"), "{said}");
        assert!(said.contains("Switch on `ssl` at the server"), "{said}");
    }
    assert_eq!(tls.tables().await, 0);
    tls.apply("dev", &["sslmode: prefer"]).fine();
    assert!(!tls.was_encrypted("dev").await);

    // A server that learns it is met encrypted by the same configuration.
    tls.server.crash();
    tls.server
        .start_again(|setup| setup.settings.push("ssl=on".to_owned()));
    tls.other_model(1);
    tls.apply("dev", &["sslmode: prefer"]).fine();
    assert!(tls.was_encrypted("dev").await);
}

#[tokio::test]
async fn a_socket_is_not_encrypted_whatever_is_asked() {
    let mut tls = Tls::new(true, |address| format!("IP:{address}")).await;
    tls.address = tls.database.host.clone();
    tls.apply("dev", &["sslmode: require"]).fine();
    assert!(!tls.was_encrypted("dev").await);
}
