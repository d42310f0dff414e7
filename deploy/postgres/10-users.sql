-- MLflow keeps its users in a database of their own.
CREATE DATABASE mlflow_auth;
