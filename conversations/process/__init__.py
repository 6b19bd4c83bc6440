"""What a process carries, of the web or a worker: its event loop, generations, slow jobs, upkeep."""
