//! Private database servers: the real MariaDB and PostgreSQL of Debian, in folders of their own, on loopback and a
//! socket, with TLS by an authority made here. Each ends with the test program, however that ends.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bewaard::domain::id::SystemId;
use bewaard::domain::policy::{Access, SecretRef, ServerAccess, System, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Mariadb,
    Postgres,
}

/// How to reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    Socket,
    Tcp,
    Tls,
    /// TLS, with an authority that the server's certificate is not from.
    WrongTls,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
    process: u32,
    /// Waits for the end of its input, then kills the server and removes the folder.
    watcher: Child,
}

/// A database of its own with an account that may do everything in it.
pub(crate) struct Database {
    pub(crate) server: &'static Server,
    pub(crate) name: String,
    pub(crate) user: String,
}

/// The password of every account here.
pub(crate) const PASSWORD: &str = "geheim-é-wachtwoord";

/// The MariaDB that the tests of this program share.
pub(crate) fn mariadb() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(Kind::Mariadb))
}

/// The PostgreSQL that the tests of this program share.
pub(crate) fn postgres() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(Kind::Postgres))
}

impl Kind {
    pub(crate) fn shared(self) -> &'static Server {
        match self {
            Self::Mariadb => mariadb(),
            Self::Postgres => postgres(),
        }
    }

    fn account(self) -> &'static str {
        match self {
            Self::Mariadb => "mysql",
            Self::Postgres => "postgres",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Mariadb => "mariadb-server",
            Self::Postgres => "postgresql",
        }
    }

    /// A program of the package, by its full path: others of the same name may stand in PATH.
    fn program(self, name: &str) -> PathBuf {
        let folders: &[&str] = match self {
            Self::Mariadb => &["/usr/sbin", "/usr/bin"],
            Self::Postgres => &["/usr/lib/postgresql/15/bin"],
        };
        let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
        found.unwrap_or_else(|| panic!("{name} is missing: install {}", self.package()))
    }

    /// A command as the server's own account: servers refuse to run as root.
    fn command(self, program: &str) -> Command {
        let program = self.program(program);
        if !rustix::process::geteuid().is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        let account = self.account();
        command.args(["--reuid", account, "--regid", account, "--clear-groups", "--"]).arg(program);
        command
    }

    fn own(self, path: &Path) {
        if rustix::process::geteuid().is_root() {
            let ids = |flag: &str| {
                let output = Command::new("id").args([flag, self.account()]).output().unwrap();
                let text = String::from_utf8(output.stdout).unwrap();
                text.trim().parse::<u32>().unwrap_or_else(|_| panic!("no account: install {}", self.package()))
            };
            chown(path, Some(ids("-u")), Some(ids("-g"))).unwrap();
        }
    }
}

fn ok(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn private_folder(name: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::SeqCst);
    // Short: a socket's path has at most 107 bytes.
    let folder = std::env::temp_dir().join(format!("bw-{name}-{}-{number}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn put(path: &Path, text: &str, mode: u32) {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The first data folder, made once per user and version and then copied.
fn template(kind: Kind) -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    let stem = match kind {
        Kind::Mariadb => "mariadb",
        Kind::Postgres => "postgres",
    };
    let program = if kind == Kind::Mariadb { "mariadbd" } else { "postgres" };
    let version = String::from_utf8(ok(Command::new(kind.program(program)).arg("--version")).stdout).unwrap();
    let version: String = version.chars().filter(char::is_ascii_alphanumeric).collect();
    let done = std::env::temp_dir().join(format!("bw-template-{stem}-{uid}-{version}"));
    if done.is_dir() {
        return done;
    }
    let folder = private_folder(stem);
    kind.own(&folder);
    let data = folder.join("data");
    match kind {
        Kind::Mariadb => ok(kind.command("mariadb-install-db").args([
            "--no-defaults",
            &format!("--datadir={}", data.display()),
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-log-file-size=8M",
        ])),
        Kind::Postgres => ok(kind.command("initdb").arg("-D").arg(&data).args([
            "--no-sync",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ])),
    };
    // Another test program may have been faster: then its folder is as good.
    if rustix::fs::rename(&data, &done).is_ok() {
        kind.own(&done);
    }
    fs::remove_dir_all(&folder).unwrap();
    done
}

/// An authority, and a certificate of it for this machine.
fn certificates(folder: &Path, kind: Kind) {
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        (certificate, Issuer::new(params, key))
    };
    let (ours, issuer) = authority("bewaard test authority");
    let (other, _) = authority("somebody else's authority");
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_string(), "127.0.0.1".to_string()];
    let server = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    put(&folder.join("ca.pem"), &ours.pem(), 0o644);
    put(&folder.join("other-ca.pem"), &other.pem(), 0o644);
    put(&folder.join("server.pem"), &server.pem(), 0o644);
    put(&folder.join("server.key"), &key.serialize_pem(), 0o600);
    kind.own(&folder.join("server.key"));
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

impl Server {
    /// Starts a server of one's own; it is killed when this is dropped.
    pub(crate) fn start(kind: Kind) -> Self {
        Self::start_with(kind, &[])
    }

    /// The same, with settings that only a start can give: as on the command line of `mariadbd`, or after `-c`.
    pub(crate) fn start_with(kind: Kind, settings: &[&str]) -> Self {
        let template = template(kind);
        Self::start_over(kind, settings, &|data| drop(ok(Command::new("cp").arg("-a").arg(&template).arg(data))))
    }

    /// Another server with all that this one has now, which follows it from then on (PostgreSQL).
    pub(crate) fn standby(&self) -> Self {
        let from = [format!("--host={}", self.folder.display()), format!("--port={}", self.port)];
        Self::start_over(self.kind, &[], &|data| {
            let mut copy = self.kind.command("pg_basebackup");
            copy.args(["--username=postgres", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
            drop(ok(copy.args(&from).arg("-D").arg(data)));
        })
    }

    /// A server over the data folder that `fill` makes.
    pub(crate) fn start_over(kind: Kind, settings: &[&str], fill: &dyn Fn(&Path)) -> Self {
        let folder = private_folder(if kind == Kind::Mariadb { "m" } else { "p" });
        kind.own(&folder);
        let data = folder.join("data");
        fill(&data);
        certificates(&folder, kind);
        let temporary = folder.join("tmp");
        fs::create_dir(&temporary).unwrap();
        kind.own(&temporary);
        put(&folder.join("password"), PASSWORD, 0o600);
        if kind == Kind::Postgres {
            let hba = "local all,replication postgres trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n";
            put(&folder.join("hba"), hba, 0o644);
        }
        // Somebody may take the port between the asking and the start.
        for _ in 0..5 {
            let port = free_port();
            let mut child = spawn(kind, &folder, port, settings);
            if ready(kind, &folder, port, &mut child) {
                let process = child.id();
                let watcher = watch(process, &folder);
                return Self { kind, folder, port, process, watcher };
            }
        }
        panic!("{kind:?} did not start: see {}", folder.join("log").display());
    }

    /// Kills it, as a power cut would: with each process of its own, for a PostgreSQL session outlives its parent for
    /// long enough to commit.
    pub(crate) fn kill(&self) {
        let pid = self.process.to_string();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        ok(Command::new("kill").args(["-STOP", &pid]));
        // A child that has just ended by itself is as dead as the others.
        Command::new("kill").arg("-9").args(children.split_whitespace()).output().unwrap();
        ok(Command::new("kill").args(["-9", &pid]));
    }

    /// Ends it in order, so that its data folder can be copied.
    pub(crate) fn shut_down(&self) {
        let signal = if self.kind == Kind::Mariadb { "TERM" } else { "INT" };
        ok(Command::new("kill").args(["-s", signal, &self.process.to_string()]));
        // What has ended has no program any more, also while nobody has asked how it ended.
        let program = format!("/proc/{}/exe", self.process);
        let start = Instant::now();
        while fs::read_link(&program).is_ok() {
            assert!(start.elapsed() < Duration::from_mins(1), "{:?} did not end", self.kind);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A session of the administrator, ready to be started; it reads SQL from its input.
    pub(crate) fn shell(&self, database: &str) -> Command {
        shell(self.kind, &self.folder, self.port, Some(database))
    }

    /// Runs SQL as the administrator; what it prints, one row a line, columns behind tabs.
    pub(crate) fn admin(&self, database: Option<&str>, sql: &str) -> String {
        let output = client(self.kind, &self.folder, self.port, database, sql);
        assert!(output.status.success(), "{}\n{sql}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_string()
    }
}

fn spawn(kind: Kind, folder: &Path, port: u16, settings: &[&str]) -> Child {
    let log = File::create(folder.join("log")).unwrap();
    let at = |name: &str| folder.join(name).display().to_string();
    let mut command = match kind {
        Kind::Mariadb => {
            let mut command = kind.command("mariadbd");
            command.args([
                "--no-defaults".to_string(),
                format!("--datadir={}", at("data")),
                format!("--socket={}", at("sock")),
                format!("--pid-file={}", at("pid")),
                // Of its own: a server that starts removes all temporary tables that it finds, also another's.
                format!("--tmpdir={}", at("tmp")),
                format!("--port={port}"),
                format!("--ssl-ca={}", at("ca.pem")),
                format!("--ssl-cert={}", at("server.pem")),
                format!("--ssl-key={}", at("server.key")),
            ]);
            command.args([
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--innodb-log-file-size=8M",
                "--innodb-buffer-pool-size=64M",
                "--innodb-flush-log-at-trx-commit=2",
                "--character-set-server=utf8mb4",
                "--performance-schema=OFF",
            ]);
            command.args(settings);
            command
        }
        Kind::Postgres => {
            let mut command = kind.command("postgres");
            command.arg("-D").arg(folder.join("data"));
            for setting in [
                format!("port={port}"),
                format!("unix_socket_directories={}", folder.display()),
                format!("hba_file={}", at("hba")),
                format!("ssl_cert_file={}", at("server.pem")),
                format!("ssl_key_file={}", at("server.key")),
                "listen_addresses=127.0.0.1".into(),
                "ssl=on".into(),
                "fsync=off".into(),
                "shared_buffers=32MB".into(),
                "deadlock_timeout=100ms".into(),
            ] {
                command.arg("-c").arg(setting);
            }
            for setting in settings {
                command.arg("-c").arg(setting);
            }
            command
        }
    };
    let both = log.try_clone().unwrap();
    command.stdin(Stdio::null()).stdout(log).stderr(both).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Waits until it answers; false when it ended.
fn ready(kind: Kind, folder: &Path, port: u16, child: &mut Child) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_mins(1) {
        if client(kind, folder, port, None, "SELECT 1").status.success() {
            return true;
        }
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{kind:?} did not answer for a minute: see {}", folder.join("log").display());
}

/// A shell that waits for our end, then kills the server and removes its folder. It outlives a kill -9 of the tests.
fn watch(process: u32, folder: &Path) -> Child {
    let script = "trap '' INT TERM HUP; read -r _; kill -9 \"$1\" 2>/dev/null; \
                  while kill -0 \"$1\" 2>/dev/null && [ -e \"/proc/$1/exe\" ]; do sleep 0.05; done; rm -rf \"$2\"";
    Command::new("sh")
        .args(["-c", script, "watcher", &process.to_string()])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        self.watcher.wait().unwrap();
    }
}

/// The server's own command line, as the administrator; it reads SQL from its input.
fn shell(kind: Kind, folder: &Path, port: u16, database: Option<&str>) -> Command {
    let mut command = match kind {
        Kind::Mariadb => {
            let mut command = Command::new(kind.program("mariadb"));
            command.args([
                "--no-defaults",
                "--batch",
                "--unbuffered",
                "--skip-column-names",
                "--default-character-set=utf8mb4",
                "-uroot",
            ]);
            command.arg(format!("--socket={}", folder.join("sock").display()));
            command
        }
        Kind::Postgres => {
            let mut command = Command::new(kind.program("psql"));
            command.args(["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]);
            command.arg(folder).args(["-p", &port.to_string(), "-d"]);
            command
        }
    };
    command.args(database.or((kind == Kind::Postgres).then_some("postgres")));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn client(kind: Kind, folder: &Path, port: u16, database: Option<&str>, sql: &str) -> Output {
    let mut child = shell(kind, folder, port, database).spawn().unwrap();
    // A client that can't connect closes its end; its own message says why.
    let _closed = child.stdin.take().unwrap().write_all(sql.as_bytes());
    child.wait_with_output().unwrap()
}

impl Database {
    /// A new database on the shared server.
    pub(crate) fn new(kind: Kind) -> Self {
        Self::on(kind.shared())
    }

    /// A new database on a server.
    pub(crate) fn on(server: &'static Server) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let (name, user) = (format!("db_{number}"), format!("user_{number}"));
        match server.kind {
            Kind::Mariadb => server.admin(
                None,
                &format!(
                    "CREATE DATABASE {name} CHARACTER SET utf8mb4; CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}'; \
                     GRANT ALL ON `{}`.* TO '{user}'@'%';",
                    name.replace('_', "\\_")
                ),
            ),
            Kind::Postgres => {
                server.admin(None, &format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'"));
                server.admin(None, &format!("CREATE DATABASE {name}"));
                server.admin(
                    Some(&name),
                    &format!(
                        "GRANT ALL ON SCHEMA public TO {user}; \
                         ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO {user}"
                    ),
                )
            }
        };
        Self { server, name, user }
    }

    /// Runs SQL in it as the administrator.
    pub(crate) fn admin(&self, sql: &str) -> String {
        self.server.admin(Some(&self.name), sql)
    }

    /// Another account that may do nothing yet, with the same password.
    pub(crate) fn account(&self, suffix: &str) -> String {
        let user = format!("{}_{suffix}", self.user);
        match self.server.kind {
            Kind::Mariadb => self.admin(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY '{PASSWORD}'")),
            Kind::Postgres => self.admin(&format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")),
        };
        user
    }

    /// How to reach it.
    pub(crate) fn access(&self, via: Via) -> ServerAccess {
        let at = |name: &str| self.server.folder.join(name).display().to_string();
        let socket = match self.server.kind {
            Kind::Mariadb => at("sock"),
            Kind::Postgres => self.server.folder.display().to_string(),
        };
        ServerAccess {
            host: if via == Via::Tls { "localhost".into() } else { "127.0.0.1".into() },
            port: self.server.port,
            socket: (via == Via::Socket).then_some(socket),
            database: self.name.clone(),
            schema: None,
            user: self.user.clone(),
            password: Some(SecretRef::File(at("password"))),
            tls: match via {
                Via::Tls => Tls::Authority(at("ca.pem")),
                Via::WrongTls => Tls::Authority(at("other-ca.pem")),
                Via::Socket | Via::Tcp => Tls::Off,
            },
        }
    }

    /// The policy's value for it, over its socket.
    pub(crate) fn system(&self, id: &str) -> System {
        let access = self.access(Via::Socket);
        System {
            id: SystemId::new(id).unwrap(),
            about: None,
            inventory: BTreeMap::new(),
            access: match self.server.kind {
                Kind::Mariadb => Access::Mariadb(access),
                Kind::Postgres => Access::Postgres(access),
            },
            batch_table: false,
        }
    }
}
