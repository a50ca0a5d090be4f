"""Raw data: files, noise, trajectory, geometry."""
