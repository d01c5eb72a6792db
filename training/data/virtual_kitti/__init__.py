"""Virtual KITTI 2: drives through five cloned streets, in changed weather and from turned cameras."""
