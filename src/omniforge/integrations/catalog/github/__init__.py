"""GitHub: repositories with their issues, pull requests, commits, releases and files."""
