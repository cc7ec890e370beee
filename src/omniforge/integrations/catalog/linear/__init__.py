"""Linear: issues of a workspace's teams and projects, read and changed through its GraphQL API."""
