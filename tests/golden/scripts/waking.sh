# Run by the harness, through the guest agent, in a guest that has just woken. Routing first: it takes the longest.
set -e
# its neighbours have forgotten the sessions that it remembers
birdc > /dev/null <<END
restart rack0_tor0
restart rack0_tor1
END
stood=$(( 1767225600 - $(/bin/date +%s) ))
/bin/date --set=@1767225600.500
# what counts time by a clock that stood still with it may hold what has expired meanwhile
for hook in /etc/vdc/woken.d/*; do
  [ ! -e "$hook" ] || /bin/sh "$hook" "$stood"
done
# what one guest drew after it was frozen must not be drawn by another (random(4): RNDRESEEDCRNG)
perl -e 'open(my $r, ">", "/dev/urandom") or die; syswrite($r, pack("H*", "0001020304050607")); ioctl($r, 0x5207, 0) or die'
