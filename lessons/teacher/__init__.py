"""The teacher's page: `lessons/TEACHING.md`, made of the lessons' heads, the exercises and `lessons.toml`."""
