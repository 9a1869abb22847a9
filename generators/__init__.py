"""The built-in generators: one file a family of scenes. Installed as `yolo_proc_generators`."""
