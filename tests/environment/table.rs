//! The settings.

/// A setting, and what comes of it.
#[derive(Debug)]
pub struct Row {
    /// What it is called.
    pub name: &'static str,
    /// Lines of bash that make it. Behind them the runner is started, if they do not do it.
    pub lines: &'static str,
    /// Whether the lines are root's, in a user and a mount namespace.
    pub is_root: bool,
    /// What the runner is to do.
    pub arguments: &'static [&'static str],
    /// What comes of it.
    pub expected: Expected,
}

/// What can come of a setting.
#[derive(Debug)]
pub enum Expected {
    /// The chapter is the same, byte for byte.
    Same,
    /// The runner ends well, and nobody sees its output.
    Silent,
    /// This is printed, and nothing else.
    Prints(&'static str),
    /// The runner ends with 3 and says this before anything has started.
    Refused(&'static [&'static str]),
}

use Expected::{Prints, Refused, Same, Silent};

const CHAPTER: &[&str] = &["chapter", "5"];
/// Its steps on the host, without a machine.
const HOST: &[&str] = &["chapter", "5", "--to", "5.6"];

const fn row(name: &'static str, lines: &'static str, expected: Expected) -> Row {
    Row {
        name,
        lines,
        is_root: false,
        arguments: CHAPTER,
        expected,
    }
}

/// A row that concerns what is built, or where something lies.
const fn host(name: &'static str, lines: &'static str, expected: Expected) -> Row {
    Row {
        arguments: HOST,
        ..row(name, lines, expected)
    }
}

/// A row whose lines mount something.
const fn root(name: &'static str, lines: &'static str, expected: Expected) -> Row {
    Row {
        is_root: true,
        ..row(name, lines, expected)
    }
}

/// A row in which something else is done.
const fn other(
    name: &'static str,
    lines: &'static str,
    arguments: &'static [&'static str],
    expected: Expected,
) -> Row {
    Row {
        arguments,
        ..row(name, lines, expected)
    }
}

/// Many of the settings at once.
const MANY: &str = "cd \"$BOOK\"; cache \"R&D: it's c\"; umask 077; export TMPDIR=\"$HERE/a b\"; mkdir \"$TMPDIR\"\n\
    export HOME=/nowhere LANGUAGE=zh_CN:zh LC_ALL=de_DE.UTF-8 TZ=Asia/Kolkata PYTHONHOME=/nowhere\n\
    export ARCH=arm CC=false MAKEFLAGS=-n CFLAGS=-O9 CPATH=/nowhere LD_LIBRARY_PATH=/nowhere TERM=dumb NO_COLOR=1\n\
    ulimit -S -n 64; ulimit -S -f 50; exec nice env --ignore-signal=CHLD,PIPE,ALRM SHELLOPTS=xtrace \"$@\"";

const NO_CACHE: &[&str] = &[
    "there is no place for the cache: neither XDG_CACHE_HOME nor HOME holds an absolute path",
    "set one of them",
];
const LIMIT: &str = "/etc/security/limits.conf";

/// All of them.
pub const ROWS: &[Row] = &[
    row("nothing", "", Same),
    other(
        "many settings at once, chapter 5 of the book",
        MANY,
        CHAPTER,
        Same,
    ),
    other(
        "many settings at once, chapter 2 of the book",
        MANY,
        &["chapter", "2"],
        Same,
    ),
    // What somebody speaks.
    row("LANGUAGE=zh_CN:zh", "export LANGUAGE=zh_CN:zh", Same),
    row(
        "LC_ALL=zh_CN.UTF-8, LANG=zh_CN.GB18030",
        "export LC_ALL=zh_CN.UTF-8 LANG=zh_CN.GB18030",
        Same,
    ),
    row(
        "LC_ALL=de_DE.UTF-8, LC_NUMERIC=de_DE, LC_COLLATE=tr_TR, LOCPATH",
        "export LC_ALL=de_DE.UTF-8 LC_NUMERIC=de_DE LC_COLLATE=tr_TR LOCPATH=/nowhere",
        Same,
    ),
    row("TZ=Asia/Kolkata", "export TZ=Asia/Kolkata", Same),
    row("TZ=:/nowhere", "export TZ=:/nowhere TZDIR=/nowhere", Same),
    row("umask 077, a build", "umask 077; cache c", Same),
    host("umask 0, a build", "umask 0; cache c", Same),
    // Where somebody lives.
    row(
        "HOME missing",
        "export XDG_CACHE_HOME=${LAB%/*}; unset HOME",
        Same,
    ),
    row(
        "HOME missing, and no XDG_CACHE_HOME",
        "unset HOME XDG_CACHE_HOME",
        Refused(NO_CACHE),
    ),
    row(
        "HOME relative, and no XDG_CACHE_HOME",
        "unset XDG_CACHE_HOME; export HOME=.",
        Refused(NO_CACHE),
    ),
    root(
        "HOME read-only, with the lab in it",
        "mounted h ''; cache h/.cache made; mount -o remount,bind,ro $HERE/h; unset XDG_CACHE_HOME; export HOME=$HERE/h",
        Same,
    ),
    root(
        "HOME read-only, and no lab",
        "mounted h ro; unset XDG_CACHE_HOME; export HOME=$HERE/h",
        Refused(&[
            "Read-only file system",
            "set XDG_CACHE_HOME to a folder of yours",
        ]),
    ),
    host(
        "HOME not ASCII, with blanks, a build",
        "cache 'Jürgen Groß/ホーム/.cache'; unset XDG_CACHE_HOME; export HOME=\"$HERE/Jürgen Groß/ホーム\"",
        Same,
    ),
    host(
        "HOME no UTF-8, a build",
        "h=$'\\xff\\xfe'; cache \"$h/.cache\"; unset XDG_CACHE_HOME; export HOME=$HERE/$h",
        Same,
    ),
    // Where the cache lies.
    host("a cache in `R&D`, a build", "cache 'R&D'", Same),
    host("a cache in `it's`, a build", "cache \"it's\"", Same),
    host("a cache in `a \"b\" c`, a build", "cache 'a \"b\" c'", Same),
    host(
        "a cache in `$x `y` \\z`, a build",
        "cache '$x `y` \\z'",
        Same,
    ),
    host("a cache in `a:b;c`, a build", "cache 'a:b;c'", Same),
    host(
        "a cache in `a%b,c=d#e(f)`, a build",
        "cache 'a%b,c=d#e(f)'",
        Same,
    ),
    host(
        "a cache with a newline in its path, a build",
        "cache $'a\\nb'",
        Same,
    ),
    host(
        "a cache with 200 characters in its path, a build",
        "cache \"$(long 200)\"",
        Same,
    ),
    host(
        "a cache behind a link, a build",
        "cache real; ln -s real $HERE/c; export XDG_CACHE_HOME=$HERE/c",
        Same,
    ),
    host(
        "XDG_CACHE_HOME relative: HOME counts",
        "cache h/.cache; export HOME=$HERE/h XDG_CACHE_HOME=caches",
        Same,
    ),
    row(
        "a cache that was copied, without its times",
        "own_kernel a; mkdir $HERE/b; cp -r $HERE/a/* $HERE/b; for tree in $HERE/b/ship-of-theseus/kernel/*/linux\n\
         do touch $tree/net/ipv4/af_inet.c; done; export XDG_CACHE_HOME=$HERE/b",
        Same,
    ),
    row(
        "a cache that was moved",
        "own_kernel a; \"$@\" >/dev/null || exit; mv $HERE/a \"$HERE/R&D b\"; export XDG_CACHE_HOME=\"$HERE/R&D b\"; exec \"$@\"",
        Same,
    ),
    root(
        "a cache that is noexec",
        "mounted c noexec; cache c; rm $HERE/c/ship-of-theseus/tools; cp -a $LAB/tools $HERE/c/ship-of-theseus",
        Refused(&[
            "no program can be run where the lab's own are (a file system that is mounted noexec?)",
            "set XDG_CACHE_HOME",
        ]),
    ),
    other(
        "the machine's own programs, and a cache in `R&D`",
        "cache 'R&D'",
        &["chapter", "5", "--host-tools"],
        Refused(&[
            "a kernel cannot be built under",
            "its path holds '&'",
            "set XDG_CACHE_HOME",
        ]),
    ),
    // Where the book lies, and how it came there.
    host(
        "a checkout in `R&D it's \"x\": ü`",
        "page 'R&D it'\\''s \"x\": ü'",
        Same,
    ),
    host(
        "a checkout with 200 characters in its path",
        "page $(long 200)",
        Same,
    ),
    host(
        "a checkout of mode 777, a build",
        "page p; chmod -R 777 .; cache c",
        Same,
    ),
    host(
        "a checkout without any mode, a build",
        "page p; chmod -R a-x,a+X .; chmod a-x rootfs/init; cache c",
        Same,
    ),
    row(
        "a checkout with CR and LF",
        "page p; sed -i 's/$/\\r/' rootfs/init",
        Refused(&[
            "p/rootfs/init end with CR and LF",
            "git config core.autocrlf false",
        ]),
    ),
    row(
        "a checkout with CR and LF in what is not run",
        "page p; sed -i 's/$/\\r/' kernel-configs/6.1.config",
        Refused(&[
            "kernel-configs/6.1.config end with CR and LF",
            "git config core.autocrlf false",
        ]),
    ),
    host(
        "git clone, with core.autocrlf=true, a build",
        "page a; cp $BOOK/.gitattributes .; git() { command git -c user.name=a -c user.email=a@b -c init.defaultBranch=a \"$@\"; }\n\
         git init -q; git add .; git commit -qm a; git clone -q -c core.autocrlf=true . $HERE/p; cd $HERE/p; cache c; exec \"$@\"",
        Same,
    ),
    host(
        "a checkout of somebody else's",
        "page p; [ $(id -u) != 0 ] || chown -R 65534:65534 .",
        Same,
    ),
    root(
        "a checkout that is read-only",
        "mounted p ''; page p; mount -o remount,bind,ro .; cd .",
        Same,
    ),
    // Where temporary files belong.
    row(
        "TMPDIR with blanks, quotes, a colon",
        "export TMPDIR=\"$HERE/a b's \\\"c\\\": ü&\"; mkdir \"$TMPDIR\"",
        Same,
    ),
    host(
        "TMPDIR of 230 characters",
        "export TMPDIR=$HERE/$(long 230); mkdir $TMPDIR",
        Same,
    ),
    host(
        "TMPDIR with a newline",
        "export TMPDIR=$HERE/$'a\\nb'; mkdir \"$TMPDIR\"",
        Same,
    ),
    row("TMPDIR empty", "export TMPDIR=", Same),
    host("TMPDIR relative", "page p; mkdir t; export TMPDIR=t", Same),
    row("TMPDIR not there", "export TMPDIR=/nowhere", Same),
    root(
        "TMPDIR noexec",
        "mounted t noexec; export TMPDIR=$HERE/t",
        Same,
    ),
    root(
        "TMPDIR full",
        "mounted t size=1m; export TMPDIR=$HERE/t",
        Same,
    ),
    root(
        "TMPDIR read-only",
        "mounted t ro; export TMPDIR=$HERE/t",
        Same,
    ),
    root(
        "TMPDIR not there, and the cache read-only",
        "mounted c ''; cache c made; mount -o remount,bind,ro $HERE/c; export TMPDIR=/nowhere",
        Refused(&[
            "make a private folder in /nowhere (No such file or directory",
            "TMPDIR names another place",
        ]),
    ),
    // What somebody's shell does.
    row(
        "BASH_ENV, ENV, PS4, SHELLOPTS, IFS, CDPATH",
        "echo 'echo spoilt; exit 9' >$HERE/env; export BASH_ENV=$HERE/env ENV=$HERE/env PS4='$(echo spoilt)' CDPATH=/ IFS=e\n\
         exec env SHELLOPTS=xtrace:noclobber BASHOPTS=failglob BASH_COMPAT=3.1 \"$@\"",
        Same,
    ),
    row(
        "functions that are exported",
        "spoil rm mktemp chmod printf exec read trap gcc make env sort test [; builtin exec \"$@\"",
        Same,
    ),
    row(
        ".bashrc, .profile, .gdbinit, .inputrc, .curlrc, .config/gdb",
        "export XDG_CACHE_HOME=${LAB%/*} HOME=$HERE; mkdir -p .config/gdb\n\
         for name in .bashrc .bash_profile .profile .gdbinit .gdbearlyinit .inputrc .curlrc .config/gdb/gdbinit; do\n\
         mkdir -p $HERE/.config/gdb; echo 'echo spoilt' >$HERE/$name; done",
        Same,
    ),
    row("PATH empty", "PATH= exec \"$@\"", Same),
    row(
        "PATH begins with other programs",
        "PATH=$(broken sh bash env mktemp rm grep chmod sleep tail setpriv bwrap gcc make qemu-system-x86_64 gdb python3 true):$PATH",
        Same,
    ),
    row(
        "PYTHONHOME, PYTHONPATH with another enum.py, PYTHONSTARTUP",
        "echo 'raise Exception(\"spoilt\")' >$HERE/enum.py\n\
         export PYTHONHOME=/nowhere PYTHONPATH=$HERE PYTHONSTARTUP=$HERE/enum.py PYTHONWARNINGS=error PYTHONVERBOSE=1",
        Same,
    ),
    // What somebody builds.
    host(
        "ARCH, CROSS_COMPILE, KBUILD_OUTPUT, KCONFIG_CONFIG, O, V, a build",
        "cache c; export ARCH=arm CROSS_COMPILE=arm-none- KBUILD_OUTPUT=/nowhere KCONFIG_CONFIG=/nowhere O=/nowhere V=1 LLVM=1",
        Same,
    ),
    host(
        "MAKEFLAGS, MAKEFILES, MAKELEVEL, a build",
        "cache c; export MAKEFLAGS='-n -k --warn-undefined-variables' MAKEFILES=/nowhere MAKELEVEL=7 GNUMAKEFLAGS=-s",
        Same,
    ),
    host(
        "CC, CFLAGS, LDFLAGS, CPATH, GCC_EXEC_PREFIX, COMPILER_PATH, a build",
        "cache c; export CC=false CXX=false LD=false CFLAGS=-O9 CPPFLAGS=-DNDEBUG LDFLAGS=-Wl,-z,now CPATH=/nowhere\n\
         export C_INCLUDE_PATH=/nowhere LIBRARY_PATH=/nowhere GCC_EXEC_PREFIX=/nowhere COMPILER_PATH=/nowhere\n\
         export LD_RUN_PATH=/nowhere GCC_COLORS= GCC_COMPARE_DEBUG=1 DEPENDENCIES_OUTPUT=$HERE/deps SOURCE_DATE_EPOCH=1",
        Same,
    ),
    row(
        "LD_PRELOAD, LD_LIBRARY_PATH, LD_AUDIT, GLIBC_TUNABLES, a build",
        "cache c; export LD_PRELOAD=libm.so.6 LD_LIBRARY_PATH=/nowhere LD_BIND_NOW=1 LD_AUDIT=/nowhere.so\n\
         export GLIBC_TUNABLES=glibc.malloc.check=3 MALLOC_PERTURB_=7 MALLOC_ARENA_MAX=1; exec \"$@\" 2>/dev/null",
        Same,
    ),
    host(
        "TAR_OPTIONS, XZ_OPT, GREP_OPTIONS, QUOTING_STYLE, PERL5OPT, a build",
        "cache c; export TAR_OPTIONS=-v XZ_OPT=-9 XZ_DEFAULTS=-0 GZIP=-1 BZIP2=-v GREP_OPTIONS=-c GREP_COLORS=mt=7\n\
         export LS_COLORS='*=7' QUOTING_STYLE=c TIME_STYLE=iso BLOCK_SIZE=1 POSIXLY_CORRECT=1 PERL5OPT=-Mnowhere\n\
         export PERL5LIB=/nowhere AWKPATH=/nowhere MAGIC=/nowhere BC_LINE_LENGTH=3 BISON_PKGDATADIR=/nowhere M4=false",
        Same,
    ),
    row(
        "QEMU_*, DEBUGINFOD_URLS, GDBHISTFILE, DISPLAY, XDG_*, DBUS_*",
        "export QEMU_AUDIO_DRV=alsa QEMU_LD_PREFIX=/nowhere QEMU_MODULE_DIR=/nowhere DEBUGINFOD_URLS=http://127.0.0.1:9\n\
         export GDBHISTFILE=$HERE/history GDBHISTSIZE=3 DISPLAY=:7 XDG_RUNTIME_DIR=/nowhere XDG_CONFIG_HOME=/nowhere\n\
         export XDG_DATA_DIRS=/nowhere DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere GCONV_PATH=/nowhere TERMINFO=/nowhere",
        Same,
    ),
    row(
        "CARGO_TARGET_DIR, RUSTFLAGS, RUST_BACKTRACE, RUST_MIN_STACK",
        "export CARGO_TARGET_DIR=$HERE CARGO_HOME=$HERE RUSTFLAGS=-Cpanic=abort RUST_BACKTRACE=full RUST_LOG=trace RUST_MIN_STACK=65536",
        Same,
    ),
    row(
        "proxies that are not there, and a lab that is",
        "export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 ALL_PROXY=socks5://127.0.0.1:9 CURL_HOME=/nowhere",
        Same,
    ),
    other(
        "the runner as cargo's runner of itself",
        "exec \"$1\" run \"$@\"",
        CHAPTER,
        Same,
    ),
    other(
        "stdbuf in front of `runner run`",
        "cd \"$BOOK\"; exec stdbuf -oL \"$@\"",
        &["run", "uname", "-r"],
        Prints("6.1.176\n"),
    ),
    // What somebody types in.
    row(
        "a terminal of 20 columns, TERM=dumb",
        "export TERM=dumb; in_terminal 20 \"$@\"",
        Same,
    ),
    row(
        "TERM=nonsense, COLUMNS=20, LINES=2",
        "export TERM=nonsense COLUMNS=20 LINES=2",
        Same,
    ),
    row(
        "NO_COLOR, CLICOLOR_FORCE",
        "export NO_COLOR=1 CLICOLOR_FORCE=1",
        Same,
    ),
    row(
        "descriptors 0 to 2 closed",
        "exec \"$@\" <&- >&- 2>&-",
        Silent,
    ),
    row(
        "descriptor 0 closed, 300 others open",
        "for n in {10..310}; do eval \"exec $n</dev/null\"; done; exec \"$@\" <&-",
        Same,
    ),
    // What the system lets somebody have.
    root(
        "no /dev/shm",
        "mount -t tmpfs -o ro,size=4k tmpfs /dev/shm",
        Same,
    ),
    // Who is not root is as everybody else.
    other(
        "root without user namespaces, chapter 5 of the book",
        "cd \"$BOOK\"; ! jails || jail all \"$@\"; exec \"$@\"",
        CHAPTER,
        Same,
    ),
    other(
        "root without user namespaces, chapter 2 of the book, a build",
        "cd \"$BOOK\"; cache c; ! jails || jail all \"$@\"; exec \"$@\"",
        &["chapter", "2"],
        Same,
    ),
    other(
        "root in a container, chapter 5 of the book",
        "cd \"$BOOK\"; ! jails || jail container \"$@\"; exec \"$@\"",
        CHAPTER,
        Same,
    ),
    other(
        "root in a container, chapter 1 of the book",
        "cd \"$BOOK\"; ! jails || jail container \"$@\"; exec \"$@\"",
        &["chapter", "1"],
        Same,
    ),
    other(
        "root in a container, chapter 2 of the book, a build",
        "cd \"$BOOK\"; cache c; ! jails || jail container \"$@\"; exec \"$@\"",
        &["chapter", "2"],
        Same,
    ),
    row(
        "hidepid",
        "exec unshare --user --map-root-user --mount --pid --fork --kill-child bash -c 'mount -t proc -o hidepid=2 proc /proc; exec \"$@\"' bash \"$@\"",
        Same,
    ),
    row(
        "ulimit -n 64",
        "ulimit -n 64",
        Refused(&[
            "files that a program has open is limited to 64 here, and the lab takes 256",
            LIMIT,
        ]),
    ),
    row(
        "ulimit -n as many as there may be",
        "ulimit -n $(ulimit -H -n)",
        Same,
    ),
    row(
        "ulimit -v 500000",
        "ulimit -v 500000",
        Refused(&[
            "memory that a program maps is limited to 500000 kB here, and the lab takes 4194304",
            LIMIT,
        ]),
    ),
    row("ulimit -v 4194304", "ulimit -v 4194304", Same),
    row(
        "ulimit -f 50000",
        "ulimit -f 50000",
        Refused(&[
            "the size of a file is limited to 50000 kB",
            "`ulimit -H -f`",
            LIMIT,
        ]),
    ),
    row(
        "ulimit -S -f 50, -v 500000, -t 1, -n 64",
        "ulimit -S -f 50; ulimit -S -v 500000; ulimit -S -t 1; ulimit -S -n 64",
        Same,
    ),
    row(
        "ulimit -t 5",
        "ulimit -t 5",
        Refused(&[
            "the processor's time for a program is limited to 5 s",
            LIMIT,
        ]),
    ),
    row(
        "ulimit -s 1000",
        "ulimit -s 1000",
        Refused(&["the stack of a program is limited to 1000 kB", LIMIT]),
    ),
    row(
        "ulimit -s as much as there may be, -c",
        "ulimit -s $(ulimit -H -s); ulimit -c $(ulimit -H -c)",
        Same,
    ),
    row(
        "ulimit -u 12",
        "page p; cp \"$1\" $HERE/runner; chmod -R a+rX $HERE; export HOME=$HERE; as=; [ $(id -u) != 0 ] || as='setpriv --reuid 65534 --regid 65534 --clear-groups'\n\
         exec $as bash -c 'ulimit -u 12; exec \"$@\"' bash $HERE/runner chapter 5",
        Refused(&[
            "the system starts no 128 processes and threads more for you",
            LIMIT,
        ]),
    ),
    row(
        "SIGCHLD ignored",
        "exec env --ignore-signal=CHLD \"$@\"",
        Same,
    ),
    row(
        "all signals ignored, and then blocked",
        "exec env --ignore-signal --block-signal \"$@\"",
        Same,
    ),
    row("nice 19", "exec nice -n 19 \"$@\"", Same),
    root(
        "user.max_user_namespaces=0, and no tar",
        "echo 0 >/proc/sys/user/max_user_namespaces; mount --bind /dev/null $(command -v tar)",
        Refused(&[
            "the system makes no namespaces",
            "`runner doctor` says what helps",
            " tar",
        ]),
    ),
];
