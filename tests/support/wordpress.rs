//! A real WordPress, as Debian packages it, on a MariaDB of its own: installed by its own installer, filled over its own
//! functions, served by PHP on the loopback. All of it lies in one temporary folder and ends with it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tempfile::TempDir;

use crate::support::servers::{Kind, Server};

/// The folder of Debian's package.
const PACKAGE: &str = "/usr/share/wordpress";
/// The administrator that the installer makes.
pub(crate) const ADMIN: &str = "beheer";
/// Their password.
pub(crate) const ADMIN_PASSWORD: &str = "Een heel goed wachtwoord 9!";
/// WordPress asks its maker for news, and itself whether it answers: both are refused at once, without a network.
const OFFLINE: &str = "<?php add_filter('pre_http_request', fn() => new WP_Error('offline', 'no network in a test'));";
/// How long a server may take to answer for the first time.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running site.
pub(crate) struct WordPress {
    web: Running,
    database: Server,
    folder: TempDir,
    port: u16,
}

/// What was put in, and what a policy is to do with it.
#[derive(Deserialize)]
pub(crate) struct Truth {
    /// By login name.
    pub(crate) users: BTreeMap<String, Known>,
    /// By the name that the filling gave it.
    pub(crate) comments: BTreeMap<String, Known>,
    /// The posts that are open to comments.
    pub(crate) posts: Vec<u64>,
    /// The password of everybody but the administrator.
    pub(crate) password: String,
}

/// One user or comment.
#[derive(Deserialize)]
pub(crate) struct Known {
    /// Its number.
    pub(crate) id: u64,
    /// `kept`, `gone` or `anonymised`.
    pub(crate) truth: String,
}

/// A program that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl WordPress {
    /// Starts the servers and lets WordPress's installer do its work.
    pub(crate) fn install() -> Self {
        let folder = TempDir::new().unwrap();
        let database = Server::start(Kind::Mariadb);
        let account = "CREATE USER wp@localhost IDENTIFIED BY 'wp'; GRANT ALL ON wordpress.* TO wp@localhost";
        database.admin(None, &format!("CREATE DATABASE wordpress CHARACTER SET utf8mb4; {account}"));
        let site = folder.path().join("site");
        done(Command::new("cp").args(["-rL", PACKAGE]).arg(&site));
        let log = folder.path().join("php.log");
        let (web, port) = serve(&site, &log);
        let wordpress = Self { web, database, folder, port };
        fs::remove_file(site.join("wp-config.php")).unwrap();
        write(&site.join("wp-config.php"), &wordpress.configuration());
        fs::create_dir(site.join("wp-content/mu-plugins")).unwrap();
        write(&site.join("wp-content/mu-plugins/offline.php"), OFFLINE);
        let answer = wordpress.visitor().post(
            "/wp-admin/install.php?step=2",
            &[
                ("weblog_title", "Voorbeeld Fietsen"),
                ("user_name", ADMIN),
                ("admin_password", ADMIN_PASSWORD),
                ("admin_password2", ADMIN_PASSWORD),
                ("admin_email", "beheer@example.nl"),
                ("blog_public", "0"),
            ],
        );
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.body.contains("Success!"), "{}", answer.body);
        wordpress
    }

    /// Puts users, posts and comments in over WordPress's own functions.
    pub(crate) fn fill(&self, inactive: u32, comments: u32) -> Truth {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wordpress/fill.php");
        let output =
            done(Command::new("php").arg(script).arg(self.site()).args([inactive.to_string(), comments.to_string()]));
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
    }

    /// Somebody with a browser, not logged in.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor { port: self.port, cookies: BTreeMap::new() }
    }

    /// Where the database listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.database.folder.join("sock")
    }

    /// What a query answers: one row a line, columns split by tabs.
    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        self.database.admin(Some("wordpress"), sql).lines().map(str::to_owned).collect()
    }

    /// What PHP and WordPress complained of so far. Debian's installer names two variables that it does not set, and
    /// WordPress misses the answer of its maker, which is out of reach here: those two are left out.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        let lines = read("php.log") + &read("debug.log");
        let grave = ["PHP Fatal", "PHP Parse", "PHP Warning", "WordPress database error", "Uncaught"];
        let known = ["wp-admin/install.php on line", "WordPress.org"];
        let said = |line: &&str, words: &[&str]| words.iter().any(|word| line.contains(word));
        lines.lines().filter(|line| said(line, &grave) && !said(line, &known)).map(str::to_owned).collect()
    }

    /// A folder for the test's own files, which ends with the site.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs PHP inside this WordPress.
    pub(crate) fn php(&self, code: &str) -> String {
        let whole =
            format!("$_SERVER['HTTP_HOST'] = '127.0.0.1'; require '{}/wp-load.php'; {code}", self.site().display());
        done(Command::new("php").args(["-r", &whole]))
    }

    fn site(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    fn configuration(&self) -> String {
        let url = format!("http://127.0.0.1:{}", self.port);
        let salt = |name| format!("define('{name}_KEY', 'key of {name}'); define('{name}_SALT', 'salt of {name}');\n");
        let salts = ["AUTH", "SECURE_AUTH", "LOGGED_IN", "NONCE"].map(salt).concat();
        format!(
            "<?php\ndefine('DB_NAME', 'wordpress'); define('DB_USER', 'wp'); define('DB_PASSWORD', 'wp');\n\
             define('DB_HOST', 'localhost:{}'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');\n\
             define('WP_HOME', '{url}'); define('WP_SITEURL', '{url}');\n{salts}\
             define('WP_DEBUG', true); define('WP_DEBUG_DISPLAY', false); define('WP_DEBUG_LOG', '{}');\n\
             define('DISABLE_WP_CRON', true);\n\
             define('AUTOMATIC_UPDATER_DISABLED', true); define('WP_AUTO_UPDATE_CORE', false);\n\
             $table_prefix = 'wp_';\nif (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');\n\
             require_once ABSPATH . 'wp-settings.php';\n",
            self.socket().display(),
            self.folder.path().join("debug.log").display(),
        )
    }
}

impl Drop for WordPress {
    fn drop(&mut self) {
        // The web server first, so that it does not complain of the database.
        let _ = self.web.0.kill();
    }
}

/// PHP's own web server on a free port. Another program may take the port first: then the next one.
fn serve(site: &Path, log: &Path) -> (Running, u16) {
    for _ in 0..20 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let output = File::create(log).unwrap();
        let mut web = Running(
            ending_with_us("php")
                .args(["-d", "sendmail_path=/bin/true", "-d", "log_errors=1", "-d", "display_errors=0"])
                .args(["-S", &format!("127.0.0.1:{port}"), "-t"])
                .arg(site)
                .stdin(Stdio::null())
                .stdout(output.try_clone().unwrap())
                .stderr(output)
                .spawn()
                .unwrap(),
        );
        let answers = wait_for("PHP's web server", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true).or_else(|| ended(&mut web).then_some(false))
        });
        if answers && !ended(&mut web) {
            return (web, port);
        }
    }
    panic!("PHP's web server does not start: {}", fs::read_to_string(log).unwrap());
}

/// A program that the system ends when this test's thread ends, however that comes about.
fn ending_with_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

fn ended(program: &mut Running) -> bool {
    program.0.try_wait().unwrap().is_some()
}

/// Runs a program to its end, and gives what it printed.
fn done(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| {
        let program = command.get_program().display();
        panic!("{program} does not start ({error}): `tests/run` installs what the tests need")
    });
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout.into_owned()
}

/// Asks until there is an answer.
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "{what} did not answer in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A new file of the test.
pub(crate) fn write(path: &Path, text: &str) {
    File::create_new(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// A browser with cookies, as far as a test needs one.
pub(crate) struct Visitor {
    port: u16,
    cookies: BTreeMap<String, String>,
}

/// What the site answered.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The page.
    pub(crate) body: String,
}

impl Visitor {
    /// Reads a page.
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// Sends a form.
    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.ask("POST", path, &form.join("&"))
    }

    /// Logs in at the login page. Whether WordPress let them in.
    pub(crate) fn log_in(&mut self, login: &str, password: &str) -> bool {
        assert_eq!(self.get("/wp-login.php").status, 200);
        let form = [("log", login), ("pwd", password), ("testcookie", "1"), ("wp-submit", "Log In")];
        let answer = self.post("/wp-login.php", &form);
        let named = self.cookies.keys().any(|name| name.starts_with("wordpress_logged_in_"));
        assert_eq!(named, answer.status == 302, "{}", answer.body);
        if !named {
            assert_eq!(answer.status, 200, "a refused login shows the form again");
        }
        named
    }

    fn ask(&mut self, method: &str, path: &str, form: &str) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nCookie: {}\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            self.port,
            cookies.join("; "),
            form.len(),
        );
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        self.read(&String::from_utf8_lossy(&answer))
    }

    fn read(&mut self, answer: &str) -> Answer {
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
        for line in head.lines() {
            let (name, value) = line.split_once(": ").unwrap_or_default();
            if name.eq_ignore_ascii_case("set-cookie") {
                let pair = value.split(';').next().unwrap_or_default();
                let (name, value) = pair.split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Answer { status, body: body.to_owned() }
    }
}

/// A value as a form carries it.
fn encoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
