"""Making a plan exist on this host: links, disks, images, libvirt and BIRD."""
