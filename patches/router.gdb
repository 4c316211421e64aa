# What hangs on each of the five places of the guest's namespace, in its order.
define hooks
  set $place = 0
  while $place < 5
    printf "%d ", $place
    output (enum nf_inet_hooks)$place
    printf "\n"
    set $list = init_net.nf.hooks_ipv4[$place]
    set $at = 0
    while $list && $at < $list->num_hook_entries
      set $ops = ((struct nf_hook_ops **)&$list->hooks[$list->num_hook_entries])[$at]
      printf "%12d ", $ops->priority
      info symbol $ops->hook
      set $at = $at + 1
    end
    set $place = $place + 1
  end
end

# An address and a port as the wire has them.
define end_of
  printf "%d.%d.%d.%d:%d", $arg0 & 255, $arg0 >> 8 & 255, $arg0 >> 16 & 255, $arg0 >> 24, ($arg1 & 255) << 8 | $arg1 >> 8
end

define tuple
  end_of ($arg0).src.u3.ip ($arg0).src.u.all
  printf " > "
  end_of ($arg0).dst.u3.ip ($arg0).dst.u.all
  printf "\n"
end

# The entry of a connection, $ct: what the question looks like, and what the answer will.
define entry
  printf "original "
  tuple $ct->tuplehash[0].tuple
  printf "reply    "
  tuple $ct->tuplehash[1].tuple
  printf "status  "
  if $ct->status & IPS_SEEN_REPLY
    printf " SEEN_REPLY"
  end
  if $ct->status & IPS_ASSURED
    printf " ASSURED"
  end
  if $ct->status & IPS_CONFIRMED
    printf " CONFIRMED"
  end
  if $ct->status & IPS_SRC_NAT
    printf " SRC_NAT"
  end
  if $ct->status & IPS_DST_NAT
    printf " DST_NAT"
  end
  printf "\n"
end

# IP's header of the packet in $skb, and what its route says.
define header
  set $ip = (struct iphdr *)($skb->head + $skb->network_header)
  printf "ttl %d, checksum 0x%02x%02x, all of it:\n", $ip->ttl, $ip->check & 255, $ip->check >> 8
  output/x *(unsigned char (*)[20])$ip
  printf "\n"
end

define route
  set $rt = (struct rtable *)($skb->_skb_refdst & ~1)
  printf "in by "
  info symbol $rt->dst.input
  printf "out by "
  info symbol $rt->dst.output
end
