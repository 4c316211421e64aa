//! The changes of the kernel that are planted by hand.

use lab::build::rework::Edit;

/// Text of one file of the kernel, and what stands in its place. No change moves a line, for the
/// chapters name lines.
pub struct Change {
    pub file: &'static str,
    pub from: &'static str,
    pub to: &'static str,
}

impl Change {
    /// The change as the lab makes it.
    pub fn edit(&self) -> Edit {
        let Self { file, from, to } = *self;
        let lines = |text: &str| text.matches('\n').count();
        assert_eq!(lines(from), lines(to), "{file}: {to}");
        let [file, from, to] = [file, from, to].map(str::to_owned);
        Edit { file, from, to }
    }
}

/// A change of behaviour, and who has to notice it.
pub struct Plant {
    pub what: &'static str,
    /// The chapter that explains what is changed, and so must fail, and the step of it that is
    /// about the change: its terminal and its command, or how they begin, before `…`. Of several
    /// such steps, one has to show it.
    pub at: (u32, &'static str),
    /// A line of how that step differs: `+` or `-`, and text of the line.
    pub shows: &'static str,
    pub change: Change,
}

impl Plant {
    /// Whether a step is about the change.
    pub fn is_about(&self, terminal: &str, command: &str) -> bool {
        let step = format!("{terminal} {command}");
        match self.at.1.strip_suffix('…') {
            Some(begin) => step.starts_with(begin),
            None => step.trim_end() == self.at.1,
        }
    }
}

const fn plant(
    what: &'static str,
    at: (u32, &'static str),
    shows: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
) -> Plant {
    let change = Change { file, from, to };
    Plant {
        what,
        at,
        shows,
        change,
    }
}

/// One change for each thing that a chapter explains.
pub const PLANTS: [Plant; 30] = [
    plant(
        "quiet leaves the warnings",
        (3, "host cpio -o -H newc --quiet …"),
        "+Cannot open root device",
        "init/main.c",
        "console_loglevel = CONSOLE_LOGLEVEL_QUIET;",
        "console_loglevel = CONSOLE_LOGLEVEL_QUIET + 1;",
    ),
    plant(
        "a device that is not there has another error",
        (3, "host tail -n 6 alone.log"),
        "+error -19",
        "block/bdev.c",
        "return ERR_PTR(-ENXIO);",
        "return ERR_PTR(-ENODEV);",
    ),
    plant(
        "the first task has another name",
        (4, "gdb print current_task->comm"),
        "+sweeper",
        "include/linux/init_task.h",
        "#define INIT_TASK_COMM \"swapper\"",
        "#define INIT_TASK_COMM \"sweeper\"",
    ),
    plant(
        "a new process is counted twice",
        (4, "gdb print total_forks - $before"),
        "+= 2",
        "kernel/fork.c",
        "\ttotal_forks++;\n",
        "\ttotal_forks += 2;\n",
    ),
    plant(
        "inet_init is called one level earlier",
        (5, "gdb info variables _inet_init5$"),
        "-_inet_init5",
        "net/ipv4/af_inet.c",
        "fs_initcall(inet_init);",
        "subsys_initcall(inet_init);",
    ),
    plant(
        "inet_init sets UDP up before TCP",
        (5, "gdb finish"),
        "+udp_init",
        "net/ipv4/af_inet.c",
        "\ttcp_init();\n\n\t/* Setup UDP memory threshold */\n\tudp_init();\n",
        "\tudp_init();\n\n\t/* Setup UDP memory threshold */\n\ttcp_init();\n",
    ),
    plant(
        "a SYN does not offer selective acknowledgements",
        (6, "wire"),
        "+options [mss 1460,nop,nop,TS val",
        "net/ipv4/tcp_output.c",
        "if (likely(READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_sack))) {",
        "if (0) {",
    ),
    plant(
        "a SYN is sent again after half the time",
        (6, "gdb print ((struct inet_connection_sock *)$client)…"),
        "+tcp_write_timer",
        "net/ipv4/tcp_output.c",
        "inet_csk(sk)->icsk_rto, TCP_RTO_MAX);\n\treturn 0;",
        "inet_csk(sk)->icsk_rto / 2, TCP_RTO_MAX);\n\treturn 0;",
    ),
    plant(
        "TIME_WAIT lasts half as long",
        (7, "gdb print $timewait->tw_timer.expires - jiffies"),
        "+= 3000",
        "net/ipv4/tcp_minisocks.c",
        "timeo = TCP_TIMEWAIT_LEN;",
        "timeo = TCP_TIMEWAIT_LEN / 2;",
    ),
    plant(
        "who closes second goes to CLOSING",
        (7, "gdb continue"),
        "+New value = TCP_CLOSING",
        "net/ipv4/tcp.c",
        "[TCP_CLOSE_WAIT]\t= TCP_LAST_ACK  | TCP_ACTION_FIN,",
        "[TCP_CLOSE_WAIT]\t= TCP_CLOSING  | TCP_ACTION_FIN,",
    ),
    plant(
        "the accept queue takes one more",
        (6, "gdb print $listener->sk_max_ack_backlog"),
        "+= 9",
        "net/ipv4/af_inet.c",
        "WRITE_ONCE(sk->sk_max_ack_backlog, backlog);",
        "WRITE_ONCE(sk->sk_max_ack_backlog, backlog + 1);",
    ),
    plant(
        "the end of an interrupt leaves its softirqs to ksoftirqd",
        (15, r#"guest sed -n "s/^ *\([a-z]*\)-[0-9]* *[|]…"#),
        "-kworker e1000_clean",
        "kernel/softirq.c",
        "if (!force_irqthreads() || !__this_cpu_read(ksoftirqd)) {",
        "if (!__this_cpu_read(ksoftirqd)) {",
    ),
    plant(
        "a route of an address has another metric",
        (9, "guest ip route"),
        "+metric 100",
        "net/ipv4/fib_frontend.c",
        ".fc_priority = rt_priority,",
        ".fc_priority = rt_priority + 100,",
    ),
    plant(
        "ARP asks four times",
        (10, "guest grep . …"),
        "+mcast_solicit:4",
        "net/ipv4/arp.c",
        "[NEIGH_VAR_MCAST_PROBES] = 3,",
        "[NEIGH_VAR_MCAST_PROBES] = 4,",
    ),
    plant(
        "who has asked counts as reachable",
        (10, "server ip neigh"),
        "+REACHABLE",
        "net/core/neighbour.c",
        "neigh_update(neigh, lladdr, NUD_STALE,",
        "neigh_update(neigh, lladdr, NUD_REACHABLE,",
    ),
    plant(
        "the guest sends with another TTL",
        (11, "lab busybox ping -c 1 10.0.3.2"),
        "+ttl=63",
        "net/ipv4/af_inet.c",
        "sysctl_ip_default_ttl = IPDEFTTL;",
        "sysctl_ip_default_ttl = IPDEFTTL - 1;",
    ),
    plant(
        "an answer to a ping lacks its last eight bytes",
        (11, "lab busybox ping -c 1 10.0.3.2"),
        "+56 bytes from",
        "net/ipv4/icmp.c",
        "icmp_param.data_len\t   = skb->len;\n\ticmp_param.head_len",
        "icmp_param.data_len\t   = skb->len - 8;\n\ticmp_param.head_len",
    ),
    plant(
        "TCP keeps less headroom",
        (12, "gdb layer skb tcp_skb_entail"),
        "+data 176",
        "net/ipv4/tcp.c",
        "skb_reserve(skb, MAX_TCP_HEADER);",
        "skb_reserve(skb, MAX_TCP_HEADER - 16);",
    ),
    plant(
        "a router takes nothing off the TTL",
        (13, "server"),
        "+ttl=64",
        "net/ipv4/ip_forward.c",
        "ip_decrease_ttl(iph);",
        "(void)iph;",
    ),
    plant(
        "the table mangle comes after the table filter",
        (13, "gdb print reg[0]"),
        "+priority = 1",
        "net/ipv4/netfilter/iptable_mangle.c",
        "= NF_IP_PRI_MANGLE,",
        "= NF_IP_PRI_FILTER + 1,",
    ),
    plant(
        "no frame passes by the queue of a device",
        (14, "gdb print/x $queue->flags"),
        "+= 0x170",
        "net/sched/sch_generic.c",
        "qdisc->flags |= TCQ_F_CAN_BYPASS;",
        "qdisc->flags |= 0;",
    ),
    plant(
        "IP asks twice for the route of a socket",
        (
            14,
            r#"guest sed -n "/ip_queue_xmit/,/tcp_update_skb/p" /tmp/send"#,
        ),
        "+__sk_dst_check",
        "net/ipv4/ip_output.c",
        "rt = (struct rtable *)__sk_dst_check(sk, 0);",
        "__sk_dst_check(sk, 0); rt = (struct rtable *)__sk_dst_check(sk, 0);",
    ),
    plant(
        "a datagram has no checksum",
        (14, r#"guest grep -E "^ {0,10}[a-z_]" /tmp/datagram"#),
        "-udp4_hwcsum",
        "net/ipv4/udp.c",
        "else if (sk->sk_no_check_tx) {\t\t\t /* UDP csum off */",
        "else if (1) {",
    ),
    plant(
        "the driver does not copy small frames",
        (15, "gdb print $ring->buffer_info[$next].rxbuf.data"),
        "+(u8 *) 0x0",
        "drivers/net/ethernet/intel/e1000/e1000_main.c",
        "#define COPYBREAK_DEFAULT 256",
        "#define COPYBREAK_DEFAULT 64",
    ),
    plant(
        "GRO sends up each frame by itself",
        (15, "gdb backtrace 22"),
        "+gro_normal_one",
        "net/core/gro.c",
        "int gro_normal_batch __read_mostly = 8;",
        "int gro_normal_batch __read_mostly = 1;",
    ),
    plant(
        "IP does not look for the socket early",
        (15, "gdb print skb->sk == $sk"),
        "+= 0",
        "net/ipv4/af_inet.c",
        "sysctl_ip_early_demux = 1;",
        "sysctl_ip_early_demux = 0;",
    ),
    plant(
        "bytes are not acknowledged at once",
        (
            15,
            r#"wire tcpdump -#n -r wire.pcap "tcp and tcp[tcpflags] & tcp-syn == 0""#,
        ),
        "-ack 4,",
        "net/ipv4/tcp_input.c",
        "\t    tcp_in_quickack_mode(sk) ||\n\t    /* Protocol state",
        "\t    (0 && tcp_in_quickack_mode(sk)) ||\n\t    /* Protocol state",
    ),
    plant(
        "UDP starts without a table of its sockets",
        (5, "gdb print udp_table.mask + 1"),
        "+= 1",
        "net/ipv4/udp.c",
        "udp_table_init(&udp_table, \"UDP\");",
        "(void)udp_table_init;",
    ),
    plant(
        "the route of an address of the machine's own has no flags",
        (13, "gdb print/x ((struct rtable *)$way)->rt_flags"),
        "+= 0x0",
        "net/ipv4/route.c",
        "rt->rt_flags = flags;",
        "rt->rt_flags = 0;",
    ),
    plant(
        "who sleeps until there is room to write is not woken",
        (14, "gdb print $writer->__state"),
        "+= 1",
        "net/core/sock.c",
        "sock_def_write_space_wfree(sk);",
        "(void)sock_def_write_space_wfree;",
    ),
];
