//! Listeners, each the only one of its address.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::ServerError;
use crate::ownership::{self, Flaw};

/// How many connections wait in the kernel while the acceptor is busy or the limit is met.
const BACKLOG: i32 = 1024;

/// Bytes that the kernel keeps of a TCP connection in each direction, and as much again for its own books: as many as an HTTP/2 connection may
/// have under way. By itself it would keep megabytes of answers for a peer that reads none of them.
const SOCKET_BUFFER_BYTES: usize = 128 * 1024;

/// A Unix socket with its file, which goes when this does.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    pub(super) file: SocketFile,
}

/// Listens on a TCP address, which is told with its real port.
pub(super) fn tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        // those that are accepted inherit them
        set_socket_recv_buffer_size(&listener, SOCKET_BUFFER_BYTES)?;
        set_socket_send_buffer_size(&listener, SOCKET_BUFFER_BYTES)?;
        // it listens already, with a shorter queue
        rustix::net::listen(&listener, BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bind().map_err(|error: io::Error| match error.kind() {
        ErrorKind::AddrInUse => ServerError::AddressInUse(address),
        _ => ServerError::Listen(address, error),
    })
}

/// Makes the operators' socket, for the service's own uid and root alone; others come by `grpc.operator_uids` with an ACL on the file.
pub(super) fn operators(path: &Path) -> Result<Socket, ServerError> {
    let refused = |what| ServerError::Socket { path: path.to_owned(), what };
    ownership::check_place(path).map_err(|flaw| refused(format!("it {flaw}")))?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory_of(path))
        .map_err(|error| refused(format!("its directory can't be made: {error}")))?;
    check_operators(path, Some(ownership::own()))?;
    socket(path, 0o600).map_err(refused)
}

/// Judges whether others could put theirs in the operators' socket's place.
pub(super) fn check_operators(path: &Path, owner: Option<u32>) -> Result<(), ServerError> {
    let owners = owner.map(|owner| [owner, 0]);
    let judged = match fs::canonicalize(directory_of(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => ownership::check_place(path),
        real => real
            .map_err(Flaw::Unusable)
            .and_then(|real| ownership::check_directory(&real, owners.as_ref().map_or(&[], |owners| owners)))
            .and_then(|_| ownership::check_place(directory_of(path))),
    };
    judged.map_err(|flaw| ServerError::Socket { path: path.to_owned(), what: format!("its directory {flaw}") })
}

/// Judges whether others could put theirs in the tools' socket's place, and so get the tokens that tools show there.
pub(super) fn check_tools(path: &Path, owner: Option<u32>) -> Result<(), ServerError> {
    let owners = owner.map(|owner| [owner, 0]);
    let directory = directory_of(path);
    let judged = match fs::metadata(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => ownership::check_place(path),
        _ => ownership::check_shared(directory, owners.as_ref().map_or(&[], |owners| owners)),
    };
    judged.map_err(|flaw| ServerError::Socket { path: path.to_owned(), what: format!("its directory {flaw}") })
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the tools' socket, which anyone on the host may connect to.
pub(super) fn tools(path: &Path) -> Result<Socket, ServerError> {
    check_tools(path, Some(ownership::own()))?;
    socket(path, 0o666).map_err(|what| ServerError::Socket { path: path.to_owned(), what })
}

/// Binds, sets the mode and only then listens, so that nobody connects before the mode is right.
fn socket(path: &Path, mode: u32) -> Result<Socket, String> {
    remove_left_over(path)?;
    let listen = || -> io::Result<Socket> {
        let socket = unix_socket()?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        let file = SocketFile::of(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(Socket { listener: UnixListener::from(socket), file })
    };
    listen().map_err(|error| error.to_string())
}

fn unix_socket() -> Result<std::os::fd::OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Removes a socket file on which nothing answers: a server that was killed left it.
fn remove_left_over(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err("a file that is no socket is in its place".to_owned()),
        Ok(_) => {}
    }
    let attempt = || rustix::net::connect(&unix_socket()?, &SocketAddrUnix::new(path)?);
    match attempt() {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(|error| format!("the left-over can't be removed: {error}")),
        // a full queue answers too, in its way
        Ok(()) | Err(Errno::AGAIN) => Err("the address is in use; is another server running?".to_owned()),
        Err(error) => Err(format!("whether another server uses it can't be found out: {error}")),
    }
}

/// The file of a bound socket, removed on drop unless another has taken its place.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(result: Result<Socket, ServerError>) -> String {
        result.err().expect("refused").to_string()
    }

    #[test]
    fn the_modes_say_who_may_connect_and_the_file_goes_with_its_server() {
        let directory = tempfile::tempdir().unwrap();
        for (socket, mode) in [
            (operators as fn(&Path) -> Result<Socket, ServerError>, 0o600),
            (tools as fn(&Path) -> Result<Socket, ServerError>, 0o666),
        ] {
            let path = directory.path().join("sock");
            let socket = socket(&path).expect("bound");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
            drop(socket);
            assert!(!path.exists());
        }
    }

    #[test]
    fn tcp_connections_wait_in_a_long_queue_and_the_kernel_keeps_little_of_each() {
        use rustix::net::sockopt::{socket_recv_buffer_size, socket_send_buffer_size};
        let (listener, address) = tcp("127.0.0.1:0".parse().unwrap()).expect("bound");
        let connect = || std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_secs(10)).expect("a place");
        // the standard library's own queue has 128
        let waiting: Vec<_> = std::iter::repeat_with(connect).take(300).collect();
        let (accepted, _) = listener.accept().unwrap();
        let kept = [socket_send_buffer_size(&accepted).unwrap(), socket_recv_buffer_size(&accepted).unwrap()];
        assert_eq!(kept, [2 * SOCKET_BUFFER_BYTES; 2]);
        drop(waiting);
    }

    #[test]
    fn a_left_over_is_replaced_but_neither_a_live_socket_nor_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("grpc.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a plain listener leaves its file");
        // what another test is starting has it until it runs
        while std::os::unix::net::UnixStream::connect(&path).is_ok() {
            std::thread::yield_now();
        }
        let live = operators(&path).expect("replaces it");
        assert!(refusal(operators(&path)).ends_with("the address is in use; is another server running?"));
        drop(live);
        fs::write(&path, "precious").unwrap();
        assert!(refusal(operators(&path)).ends_with("a file that is no socket is in its place"));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn the_tools_door_is_in_no_directory_where_others_could_put_theirs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tools.sock");
        for (mode, is_taken) in [(0o770, false), (0o777, false), (0o1777, false), (0o711, true), (0o755, true)] {
            fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
            let said = check_tools(&path, Some(ownership::own())).err().map(|error| error.to_string());
            assert_eq!(tools(&path).err().map(|error| error.to_string()), said, "{mode:o}");
            assert_eq!(said.is_none(), is_taken, "{mode:o}: {said:?}");
            assert!(said.is_none_or(|said| said.contains("its directory can be written by other users; make it 0755")));
        }
        // systemd makes it with the service
        check_tools(&directory.path().join("later/tools.sock"), Some(ownership::own())).expect("it can still be made");
    }

    #[test]
    fn nothing_is_made_below_a_directory_that_everybody_writes_not_even_by_a_link_from_there() {
        let root = tempfile::tempdir().unwrap();
        let (open, good) = (root.path().join("open"), root.path().join("good"));
        for directory in [&open, &good] {
            fs::create_dir(directory).unwrap();
        }
        std::os::unix::fs::symlink(&good, open.join("link")).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        // a link in a good place that leads over one that isn't
        std::os::unix::fs::symlink("open/../open/link", root.path().join("by")).unwrap();
        let by = ["open/new", "open/link", "open/link/new", "by", "by/new", "good/../by"];
        for path in by.map(|by| root.path().join(by).join("grpc.sock")) {
            let refused = refusal(operators(&path));
            assert!(refused.contains("which everybody may write and which isn't sticky"), "{refused}");
            assert!(check_operators(&path, Some(ownership::own())).is_err());
        }
        assert!(fs::read_dir(&good).unwrap().next().is_none() && !open.join("new").exists(), "nothing was made");
    }

    #[test]
    fn the_operators_door_is_in_no_directory_that_others_write() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o770)).unwrap();
        assert!(refusal(operators(&directory.path().join("grpc.sock"))).contains("its directory can be written by other users"));
        let made = operators(&directory.path().join("data/grpc.sock")).expect("in a directory of its own");
        assert_eq!(fs::metadata(directory.path().join("data")).unwrap().mode() & 0o777, 0o700);
        drop(made);
    }
}
